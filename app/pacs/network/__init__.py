"""What a node does with the network: connections, and associations that are kept on them."""
