"""Learning, off the live path: rows → dataset → splits → fit → calibrate → evaluate → bundle (`tickcast.registry`)."""
