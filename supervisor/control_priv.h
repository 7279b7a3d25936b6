/* SPDX-License-Identifier: ISC */
/*
 * What the files of the control socket share.  Supervisor only, for
 * control*.c.
 */
#ifndef MCRELAY_CONTROL_PRIV_H
#define MCRELAY_CONTROL_PRIV_H

#include <sys/queue.h>
#include <sys/types.h>
#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "supervisor/commands.h"

#define REQUEST_MAX	4096

struct control;

enum client_phase {
	CLIENT_ASKS,
	CLIENT_ASKS_TOO_MUCH,
	CLIENT_WAITS,
	CLIENT_READS,
	CLIENT_FOLLOWS,
};

struct client {
	LIST_ENTRY(client)	 link;
	struct control		*control;
	int			 fd;
	uid_t			 user;		/* who connected */
	enum client_phase	 phase;
	struct command_wait	 wait;
	char			 request[REQUEST_MAX];
	size_t			 received;
	char			*answer;
	size_t			 answer_size;
	size_t			 sent;
	ev_io			 io;
	ev_timer		 deadline;
};

LIST_HEAD(client_list, client);

struct control {
	struct supervisor	*supervisor;
	int			 fd;
	ev_io			 io;
	ev_timer		 pause;
	struct client_list	 clients;
	size_t			 count;
	bool			 held;		/* an upgrade is near */
};

/* Hangs up. */
void	client_free(struct client *client) ATTR_NONNULL;
/* Those whom nobody can keep out. */
bool	client_is_master(uid_t user);

/*** Those who follow events (control_follow.c). ***/

/* NULL: there is a place for this one. */
json_t	*follower_refusal(const struct control *control,
	    const struct client *client) ATTR_NONNULL;
/* Its descriptor is ready; may hang up. */
void	follower_turn(struct client *client, int events) ATTR_NONNULL;
/* There may be something for them. */
void	followers_wake(struct control *control) ATTR_NONNULL;
/* Sends what they take at once, and hangs up; who has all is told what for:
 * `ending', mcrelayd ends, or an upgrade. */
void	followers_end(struct control *control, bool ending) ATTR_NONNULL;

#endif /* MCRELAY_CONTROL_PRIV_H */
