/* SPDX-License-Identifier: ISC */
/*
 * Clients of the control socket that follow events.  Supervisor only.  Never
 * blocks: what a client does not take stays where it is, in a buffer that
 * does not grow, and goes from there when others need the room.
 */
#include <sys/socket.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/control_priv.h"
#include "supervisor/events.h"
#include "supervisor/follow.h"
#include "supervisor/supervisor.h"

/* They stay: there are places left for those who only ask. */
#define FOLLOWERS_MAX	16U
/* Of them, for one user and for all but root and our own. */
#define USER_MAX	4U
#define OTHERS_MAX	8U
/* At the end, to one of them. */
#define LAST_BATCHES	64

json_t *
follower_refusal(const struct control *control, const struct client *client)
{
	bool master = client_is_master(client->user);
	unsigned own = 0, others = 0, all = 0;
	const struct client *each;

	LIST_FOREACH(each, &control->clients, link) {
		if (each->phase != CLIENT_FOLLOWS)
			continue;
		all++;
		own += each->user == client->user;
		others += !client_is_master(each->user);
	}
	if (all >= FOLLOWERS_MAX)
		return command_error("%u clients follow the events already",
		    all);
	if (!master && (own >= USER_MAX || others >= OTHERS_MAX))
		return command_error("%u clients of user %u follow the events "
		    "already, and %u of all users", own,
		    (unsigned)client->user, others);
	return NULL;
}

static void
watch(struct client *client, int events)
{
	struct ev_loop *loop = client->control->supervisor->loop;

	if (ev_is_active(&client->io) && client->io.events == events)
		return;
	ev_io_stop(loop, &client->io);
	ev_io_set(&client->io, client->fd, events);
	ev_io_start(loop, &client->io);
}

/* False: there is none. */
static bool
next_batch(struct client *client)
{
	free(client->answer);
	client->sent = client->answer_size = 0;
	client->answer = follow_take(client->control->supervisor->events,
	    client->wait.follower, &client->answer_size);
	return client->answer != NULL;
}

/* 1: all of the batch is sent; 0: it takes no more now; -1: it is gone. */
static int
send_batch(struct client *client)
{
	ssize_t put;

	while (client->sent < client->answer_size) {
		put = send(client->fd, client->answer + client->sent,
		    client->answer_size - client->sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1)
			return errno == EAGAIN ? 0 : -1;
		client->sent += (size_t)put;
	}
	return 1;
}

/* It has nothing to say any more. */
static bool
has_hung_up(struct client *client)
{
	char any;

	return recv(client->fd, &any, 1, MSG_DONTWAIT) != -1 ||
	    (errno != EAGAIN && errno != EINTR);
}

void
follower_turn(struct client *client, int events)
{
	if ((events & EV_READ) != 0 && has_hung_up(client)) {
		client_free(client);
		return;
	}
	switch (send_batch(client)) {
	case 1:
		/* One at a time: others have their turn. */
		watch(client, next_batch(client) ? EV_READ | EV_WRITE :
		    EV_READ);
		break;
	case -1:
		client_free(client);
		break;
	}
}

void
followers_wake(struct control *control)
{
	struct client *client;

	LIST_FOREACH(client, &control->clients, link)
		if (client->phase == CLIENT_FOLLOWS && client->sent ==
		    client->answer_size && next_batch(client))
			watch(client, EV_READ | EV_WRITE);
}

/*
 * To one that has all there is.  Before an upgrade: where it is, as what it
 * has been sent last may have happened long ago, when it does not follow all
 * channels, and the next image has only the newest events.
 */
static void
say_last(const struct client *client, bool ending)
{
	const struct events *events = client->control->supervisor->events;
	char line[128];
	int size;

	if (ending)
		size = snprintf(line, sizeof(line), "{\"kind\":\"end\","
		    "\"text\":\"mcrelayd ends\"}\n");
	else
		size = snprintf(line, sizeof(line), "{\"kind\":\"pause\","
		    "\"id\":\"%s:%" PRIu64 "\",\"text\":\"mcrelayd is "
		    "upgraded\"}\n", events->instance, events->next - 1);
	(void)send(client->fd, line, (size_t)size,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
send_rest(struct client *client, bool ending)
{
	int batches = 0;

	while (send_batch(client) == 1 && batches++ < LAST_BATCHES)
		if (!next_batch(client)) {
			say_last(client, ending);
			break;
		}
}

void
followers_end(struct control *control, bool ending)
{
	struct client *client, *next;

	for (client = LIST_FIRST(&control->clients); client != NULL;
	    client = next) {
		next = LIST_NEXT(client, link);
		if (client->phase != CLIENT_FOLLOWS)
			continue;
		send_rest(client, ending);
		client_free(client);
	}
}
