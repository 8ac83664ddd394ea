"""Work that is spread over several machines by Ray, which is the extra ``ray``."""
