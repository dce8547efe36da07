"""A project in the browser: ask models, look through data, results and runs. It reads alone."""
