"""What the local exchange tells as it happens: WebSocket sessions in each venue's words."""
