"""What the venues remember, over HTTP and in their files of whole days."""
