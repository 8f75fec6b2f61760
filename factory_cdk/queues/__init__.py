"""Job queues: the port that every engine fulfils, and the engines."""
