"""Who the job is: identity tokens, and what each provider puts into them."""
