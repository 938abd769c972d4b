"""The API's endpoints: each method checks its arguments and builds one request."""
