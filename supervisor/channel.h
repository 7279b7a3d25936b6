/* SPDX-License-Identifier: ISC */
/*
 * A channel: what the supervisor owns for it (sockets, archive directory,
 * segment, eventfd) and its worker.  Supervisor only.
 */
#ifndef MCRELAY_CHANNEL_H
#define MCRELAY_CHANNEL_H

#include <sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/forward.h"
#include "common/lease.h"
#include "common/segment.h"
#include "supervisor/budget.h"
#include "supervisor/child.h"
#include "supervisor/conf/conf.h"
#include "supervisor/foreign.h"
#include "supervisor/kernel_path.h"
#include "supervisor/parts.h"
#include "supervisor/reasons.h"
#include "supervisor/silence.h"
#include "supervisor/tell.h"
#include "supervisor/watch.h"
#include "supervisor/xdp_path.h"

struct inherited;
struct supervisor;
struct decimator;
struct forwarder;

struct channel {
	TAILQ_ENTRY(channel)	 link;
	struct supervisor	*supervisor;
	const struct channel_conf *conf;	/* in the supervisor's conf */
	char			 name[CHANNEL_NAME_MAX + 1];
	uint32_t		 number;	/* for the decimator */
	struct privdrop		 user;		/* its worker's */
	struct child		 child;
	bool			 fresh;	/* has yet to be started */

	struct parts		 parts;
	/* Waiting for the worker to end: parts to be used from then on, and
	 * whether there is to be a new segment. */
	struct parts		 next;
	bool			 renew;
	bool			 drain;		/* before anything else */
	uint32_t		 paused;	/* what (pause.h) */
	uint32_t		 paused_lasting; /* of it, in run_dir */

	/* base NULL: there was no memory for one, and no worker. */
	struct segment		 segment;
	int			 decimator_event;	/* eventfd */
	/* The decimator's page's slots, by stream; "": free. */
	char			 slot[STREAMS_MAX][CHANNEL_NAME_MAX + 1];
	uint64_t		 slot_id[STREAMS_MAX];
	/* The decimator that is to have it, the one that may have it; NULL:
	 * none.  Until the latter has let go nobody else is told. */
	struct decimator		*decimator;
	struct decimator		*decimator_holder;
	bool			 decimator_leaving; /* holder is to let go */
	bool			 decimator_told; /* the holder knows it all */
	bool			 decimator_anew; /* earlier ones are no loss */
	uint64_t		 decimator_bytes; /* received 1 s ago */
	uint64_t		 decimator_rate;	/* bytes/s, lately */

	/* Of an older image, to be replaced; 0: none. */
	pid_t			 old_worker;
	/* What the service manager keeps: inodes, 0 for none. */
	ino_t			 stored_input[INPUTS_MAX];
	ino_t			 stored_feed;
	ino_t			 stored_xdp[2];	/* socket, memory */
	ino_t			 stored_segment;

	struct lack		 program;	/* of its worker (runnable.h) */
	struct lack		 kernel;	/* of kernel_path.h */
	struct kernel_outputs	 kernel_outputs;
	struct kernel_failure	 kernel_failure;
	struct xdp_input	 xdp;
	struct foreign		 foreign;
	char			 lacked[256];	/* told; "": nothing */
	unsigned		 room_asked_s;	/* in vain; see room.c */
	uint64_t		 room_oldest_ns; /* when it was asked */
	bool			 unlocked;	/* its memory is */
	struct silence		 silence;
	struct watch		 watch;
	struct stream_watch	 stream_watch;
	struct budget		 budget;
	struct reasons		 reasons;
	struct told		 told;
	/* Who forwards it, NULL: nobody, and its place in that one's page;
	 * what those have forwarded that have ended. */
	struct forwarder	*forwarder;
	unsigned		 forward_slot;
	struct forward_counts	 forwarded;
	uint64_t		 forwarder_ns;	/* had one then; 0: never */
	/* Where hosts take turns (fleet.h): until when it may relay, of
	 * CLOCK_BOOTTIME, and whether that was so at the last look. */
	struct lease_slot	*lease;		/* NULL: nobody asks for it */
	/* Of processes that have ended: what they counted, and when a server
	 * last told; or since when hosts take turns. */
	struct lease_counts	 lease_counts;
	uint64_t		 lease_seen_ns;
	uint64_t		 speak_until_ns;
	bool			 speaks;
	/* Of a host that stands by cold (fleet.h): it is started when it is
	 * needed, as it was last then; until then it does not try to have it,
	 * since it could not be started. */
	bool			 asleep;
	bool			 needed;
	uint64_t		 needed_ns;
	uint64_t		 unfit_until_ns;

	/* The counters as the status last showed them, and whether they could
	 * be read then. */
	struct channel_counts	 counts;
	struct decimated_state	 streams;
	bool			 counts_current;
};

TAILQ_HEAD(channel_list, channel);

/*
 * Makes a channel with all that it needs but its worker, as far as that can be
 * had; an input whose address is in use is left unbound.
 */
struct channel	*channel_new(struct supervisor *supervisor,
		    const struct conf *conf,
		    const struct channel_conf *channel_conf,
		    struct conf_problems *problems) ATTR_NONNULL;
/* Makes one that an older image had and the configuration does not: all it
 * is for is to be ended. */
struct channel	*channel_new_leaving(struct supervisor *supervisor,
		    struct inherited *from) ATTR_NONNULL;
/* Its worker must have been reaped. */
void	channel_free(struct channel *channel) ATTR_NONNULL;

/* Starts the worker; opens the input if channel_stop() has closed it; makes
 * another segment if the channel has failed.  One that lacks something waits
 * for channel_retry(). */
void	channel_start(struct channel *channel, struct conf_problems *problems)
	    ATTR_NONNULL;
/* Starts it if it waits and what it lacked is there. */
void	channel_retry(struct channel *channel) ATTR_NONNULL;
/* What it waits for, or NULL. */
const struct lack	*channel_lack(const struct channel *channel)
			    ATTR_NONNULL;
/* Ends the worker, then closes the input: what comes in meanwhile is not
 * for us. */
void	channel_stop(struct channel *channel) ATTR_NONNULL;

/*
 * Puts another configuration in force, with the parts that were opened for
 * it, as conf_compare() said.  The worker is restarted if need be.
 */
void	channel_change(struct channel *channel,
	    const struct channel_conf *conf, enum conf_change change,
	    struct parts *parts) ATTR_NONNULL;

/* The worker, and those that follow it, log what is as urgent. */
void	channel_log_level(struct channel *channel, int level) ATTR_NONNULL;

/* Says, once, that memory cannot be locked. */
void	channel_warn_unlocked(struct channel *channel) ATTR_NONNULL;

/* Makes its segment if it has none, or none of its present configuration, or
 * notes that it lacks one.  True: it has been made just now. */
bool	channel_make_segment(struct channel *channel,
	    const struct conf *conf) ATTR_NONNULL;
/* Gives each stream of its configuration a slot in the decimator's page. */
void	channel_assign_slots(struct channel *channel) ATTR_NONNULL;
/* Notes the slots in its segment, for a supervisor that takes it over. */
void	channel_note_slots(struct channel *channel) ATTR_NONNULL;
/* Has `fresh', which is to be the channel's segment, go on with what the
 * decimator had counted in the one that it has (inherit_page.c). */
void	channel_inherit_decimator(const struct channel *channel,
	    const struct segment *fresh) ATTR_NONNULL;
/* The slot of a stream there. */
uint32_t	channel_slot(const struct channel *channel,
		    const char *stream) ATTR_NONNULL;

#endif /* MCRELAY_CHANNEL_H */
