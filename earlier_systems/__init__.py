"""What known systems did, defects included, to be compared with; docs/earlier-systems.md."""
