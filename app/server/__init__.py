"""From the socket to a route: connections, uploads, refusals."""
