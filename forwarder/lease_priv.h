/* SPDX-License-Identifier: ISC */
/*
 * What the files of leases share.  For these only, in the process that asks for
 * them.
 */
#ifndef MCRELAY_LEASE_PRIV_H
#define MCRELAY_LEASE_PRIV_H

#include "common/lease.h"
#include "common/log.h"
#include "common/util.h"
#include "forwarder/forwarder.h"

/* Another host that would have the channel. */
struct rival {
	uint64_t	revision;	/* of its own key; 0: never seen */
	uint64_t	changed_ns;
	uint64_t	first_ns;	/* there since then */
};

/* What a key says: "held HOST INSTANCE TO NUMBER MARK", or "free ...". */
struct lease_value {
	bool		 held;
	char		 host[CHANNEL_NAME_MAX + 1];
	char		 to[CHANNEL_NAME_MAX + 1];	/* "-": nobody */
	uint64_t	 number;	/* of a hand-over; 0: none */
	struct turn_mark mark;		/* where that one stopped */
};

struct lease {
	const struct lease_spec	*spec;
	struct lease_slot	*slot;
	jsCtx			*js;
	kvStore			*store;		/* NULL: not open */
	bool			 known;
	bool			 held;
	/* As last seen: the key, whether this daemon has it, since when it has
	 * been so. */
	uint64_t		 revision;	/* 0: there is no key */
	bool			 ours;
	struct lease_value	 value;
	uint64_t		 since_ns;
	uint64_t		 shown_ns;	/* that we are here */
	struct rival		 rival[HOSTS_MAX];
	struct log_limit	 limit;
	struct log_limit	 namesakes;
	_Atomic uint64_t	 beat_ns;
};

/* Of a datagram in a mark, in hexadecimal. */
#define SOURCE_DIGITS	8
#define CONTENT_DIGITS	16
#define ENTRY_DIGITS	(SOURCE_DIGITS + CONTENT_DIGITS)
#define MARK_SIZE	(TURN_MARK_MAX * ENTRY_DIGITS + 1)
/* Names, an instance of up to 127 bytes, a number, a mark. */
#define VALUE_SIZE	(512 + MARK_SIZE)

/*** lease_key.c: the bucket, and a channel's key in it. ***/

/* False: nobody answers. */
bool	lease_open(struct lease *l) ATTR_NONNULL;
/* What a key says and its revision, as who leads the servers has it: any of
 * them may be asked by kvStore_Get(), also one that hangs, or lags.
 * NATS_NOT_FOUND: there is no such key; others: it cannot be found out. */
natsStatus lease_get(struct lease *l, const char *key,
	    char value[static VALUE_SIZE], uint64_t *revision) ATTR_NONNULL;
bool	lease_look(struct lease *l) ATTR_NONNULL;
/* Stored only if nobody has changed the key since the revision that we know.
 * False: it was not, or nobody knows.  `mark' may be NULL. */
bool	lease_say(struct lease *l, bool held, const char *to, uint64_t number,
	    const struct turn_mark *mark);
/* The same again, of a key that we have said to have, where another one may
 * have said so at the same time.  False: it has, or nobody knows. */
bool	lease_confirm(struct lease *l, const char *to, uint64_t number,
	    const struct turn_mark *mark);

/*** lease_rivals.c: other hosts. ***/

/* So that whoever has the channel can give it to us.  True: it is stored, and
 * so is, or is refused, all that servers were told before. */
bool	lease_show(struct lease *l) ATTR_NONNULL;
/* When it is time. */
void	lease_show_ourselves(struct lease *l) ATTR_NONNULL;
/* False: of one of them it could not be found out. */
bool	lease_look_at_rivals(struct lease *l) ATTR_NONNULL;
/* The first host that would have it, was seen lately, and has been there for so
 * long; of those before us, or of all.  NULL: none. */
const char	*lease_find_rival(const struct lease *l, bool before_us,
		    uint64_t steady_ns) ATTR_NONNULL;
/* Those that would have it, seen lately. */
unsigned	lease_rivals(const struct lease *l) ATTR_NONNULL;
/* It has to be seen anew. */
void	lease_forget_rival(struct lease *l, const char *host) ATTR_NONNULL;
/* Says that we keep what comes, for the hand-over of this number; false: that
 * was not stored. */
bool	lease_say_ready(struct lease *l, uint64_t number) ATTR_NONNULL;
bool	lease_is_ready(struct lease *l, const char *host, uint64_t number)
	    ATTR_NONNULL;

/*** lease.c: to have it, or not. ***/

/* What was sent at that moment is confirmed. */
void	lease_allow(struct lease *l, uint64_t sent_ns) ATTR_NONNULL;
/* For whom it is said to be, as a hand-over says.  False: it is not known, or
 * no more, whether it is ours. */
bool	lease_renew(struct lease *l, const char *to, uint64_t number)
	    ATTR_NONNULL;
/* Mutes this host; returns when the segments have it. */
void	lease_fall_silent(struct lease *l) ATTR_NONNULL;
void	lease_pause(struct lease *l, uint64_t ns) ATTR_NONNULL;
/* That there is nobody to hand it over to: by what was seen, not by the time in
 * which nobody could look.  `alone' is false, too, where that is not known. */
void	lease_note_alone(struct lease *l, bool alone) ATTR_NONNULL;
bool	lease_is_wanted(const struct lease *l) ATTR_NONNULL;

/*** lease_turns.c: from the one to the other, with nothing between. ***/

/* Hands it over to a host that is ready to follow; else it stays ours. */
void	lease_hand_over(struct lease *l, const char *to) ATTR_NONNULL;
/* If it is announced that we are to have it: gets ready for it, and returns
 * when it is known what has come of that, or the lease may be over. */
void	lease_follow(struct lease *l) ATTR_NONNULL;
/* Tries to take it, from whoever has had it, and goes on behind that one where
 * it was handed over. */
void	lease_take(struct lease *l) ATTR_NONNULL;
/* It is another's: what was kept is not to be sent. */
void	lease_leave(struct lease *l) ATTR_NONNULL;
/* What the worker was told; ends what it has done. */
enum turn_order	lease_order(struct lease *l) ATTR_NONNULL;
/* Since when the key would have to be as it is for us to take it unasked. */
bool	lease_is_over(const struct lease *l) ATTR_NONNULL;

static inline void
store(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline uint64_t
load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* The channel's thread is the only one that counts. */
static inline void
count(_Atomic uint64_t *word)
{
	store(word, load(word) + 1);
}

#endif /* MCRELAY_LEASE_PRIV_H */
