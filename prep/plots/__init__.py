"""The plots of a corpus: what is counted, how it is drawn, and the page that shows it."""
