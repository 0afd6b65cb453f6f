"""Who reads with an account: register, log in, save articles."""
