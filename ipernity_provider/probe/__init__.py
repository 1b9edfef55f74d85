"""What an account's service really does, measured on the account itself."""
