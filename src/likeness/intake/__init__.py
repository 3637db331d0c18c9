"""Photos that arrive by themselves: storage, events, queues, and the workers that answer."""
