"""Network access: requests with limits and retries, and safe handling of what they return."""
