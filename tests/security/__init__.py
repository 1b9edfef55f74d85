"""Nothing that the service, a web page or a neighbour on the machine says is trusted."""
