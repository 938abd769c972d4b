"""Where answers are kept, how long they are good for, and who asks when several want the same."""
