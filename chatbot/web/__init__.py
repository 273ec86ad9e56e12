"""The web application: cookies, limits, headers, routes, and the pages mounted on it."""
