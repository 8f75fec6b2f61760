"""Job queues: the port that every engine fulfils (port.py, client.py), the engines, and what opens them."""
