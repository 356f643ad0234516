"""Every exchange without a room of its own, through the library ccxt: what it says, in lines of one dialect."""
