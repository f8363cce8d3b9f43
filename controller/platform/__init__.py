"""A whole platform on one machine: database, Ray, controller and gateways, started and healed by `gatectl up`."""
