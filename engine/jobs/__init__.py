"""Jobs: the queue, the worker threads, the child processes they drive, and the journal on disk."""
