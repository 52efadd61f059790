"""What makes a flow one that can run: rules about its graph and its memory, one function each."""
