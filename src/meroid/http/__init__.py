"""Routes, guard, CORS, Host rule and the server: HTTP in, one service call, HTTP out."""
