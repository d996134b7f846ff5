"""Commands about models: find, fit, bring, load, tune, serve, give away."""
