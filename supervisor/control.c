/* SPDX-License-Identifier: ISC */
/*
 * The control socket and its clients.  Supervisor only.  Never blocks.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "supervisor/commands.h"
#include "supervisor/control.h"
#include "supervisor/control_priv.h"
#include "supervisor/follow.h"
#include "supervisor/report.h"
#include "supervisor/supervisor.h"
#include "supervisor/users.h"

#define SOCKET_NAME	"mcrelayd.sock"
/* Those that come when all places are taken wait in the backlog. */
#define CLIENTS_MAX	32
/* Of them, for one user and for all but root and our own. */
#define USER_MAX	8U
#define OTHERS_MAX	24U
/* To send a request, and to read the answer. */
#define CLIENT_S	5.
/* For a command: an old worker's end, a new one's start, and some. */
#define COMMAND_S	30.
/* Out of descriptors: they come back. */
#define PAUSE_S		1.

static void
listen_again(struct control *control)
{
	if (control->count < CLIENTS_MAX && !control->held)
		ev_io_start(control->supervisor->loop, &control->io);
}

void
client_free(struct client *client)
{
	struct control *control = client->control;

	ev_io_stop(control->supervisor->loop, &client->io);
	ev_timer_stop(control->supervisor->loop, &client->deadline);
	LIST_REMOVE(client, link);
	control->count--;
	close(client->fd);
	free(client->answer);
	follow_free(client->wait.follower);
	free(client);
	if (control->held)
		supervisor_notice(control->supervisor);
	listen_again(control);
}

/* Goes on to the next phase, with a new deadline. */
static void
set_phase(struct client *client, enum client_phase phase, int events,
    double seconds)
{
	struct ev_loop *loop = client->control->supervisor->loop;

	client->phase = phase;
	ev_io_stop(loop, &client->io);
	if (events != 0) {
		ev_io_set(&client->io, client->fd, events);
		ev_io_start(loop, &client->io);
	}
	ev_timer_stop(loop, &client->deadline);
	ev_now_update(loop);
	ev_timer_set(&client->deadline, seconds, 0.);
	if (phase != CLIENT_FOLLOWS)
		ev_timer_start(loop, &client->deadline);
}

/* Takes `answer' over. */
static void
set_answer(struct client *client, json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT);

	json_decref(answer);
	if (text == NULL)
		fatalx("out of memory");
	client->answer = text;
	client->answer_size = strlen(text);
	/* A line: its NUL's place is the newline's. */
	client->answer[client->answer_size++] = '\n';
}

/* The answer that the command has written itself. */
static void
reply_text(struct client *client)
{
	struct growing *text = &client->wait.text;

	growing_put(text, "\n", 1);
	client->answer = text->text;
	client->answer_size = text->size;
	set_phase(client, CLIENT_READS, EV_WRITE, CLIENT_S);
}

/* The same. */
static void
reply(struct client *client, json_t *answer)
{
	set_answer(client, answer);
	set_phase(client, CLIENT_READS, EV_WRITE, CLIENT_S);
}

/* The same. */
static void
begin_following(struct client *client, json_t *answer)
{
	json_t *refusal = follower_refusal(client->control, client);

	if (refusal != NULL) {
		json_decref(answer);
		reply(client, refusal);
		return;
	}
	set_answer(client, answer);
	set_phase(client, CLIENT_FOLLOWS, EV_READ | EV_WRITE, 0.);
}

static void
run_request(struct client *client, size_t length)
{
	struct supervisor *supervisor = client->control->supervisor;
	json_t *request, *answer;
	json_error_t error;

	request = json_loadb(client->request, length, JSON_REJECT_DUPLICATES,
	    &error);
	if (request == NULL) {
		reply(client, command_error("the request is not JSON: %s",
		    error.text));
		return;
	}
	set_phase(client, CLIENT_WAITS, 0, COMMAND_S);
	answer = command_run(supervisor, request, &client->wait);
	json_decref(request);
	if (answer != NULL && client->wait.follower != NULL)
		begin_following(client, answer);
	else if (answer != NULL)
		reply(client, answer);
	else if (client->wait.text.size > 0)
		reply_text(client);
}

static void
reply_too_long(struct client *client)
{
	reply(client, command_error("the request is longer than %d bytes",
	    REQUEST_MAX));
}

static void
receive(struct client *client)
{
	size_t room = sizeof(client->request) - client->received;
	char *end;
	ssize_t got;

	got = recv(client->fd, client->request + client->received, room, 0);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == 0 && client->phase == CLIENT_ASKS_TOO_MUCH) {
		reply_too_long(client);
		return;
	}
	if (got <= 0) {
		client_free(client);
		return;
	}
	client->received += (size_t)got;
	end = memchr(client->request, '\n', client->received);
	if (end != NULL && client->phase == CLIENT_ASKS)
		run_request(client, (size_t)(end - client->request));
	else if (end != NULL)
		reply_too_long(client);
	else if (client->received == sizeof(client->request)) {
		/* To its end, as it reads no answer before; forgotten. */
		client->phase = CLIENT_ASKS_TOO_MUCH;
		client->received = 0;
	}
}

/* The end of a socket with something unread would be a reset. */
static void
leave_unread(int fd)
{
	char rest[REQUEST_MAX];

	(void)recv(fd, rest, sizeof(rest), 0);
}

static void
send_answer(struct client *client)
{
	ssize_t put;

	put = send(client->fd, client->answer + client->sent,
	    client->answer_size - client->sent, MSG_NOSIGNAL);
	if (put == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (put > 0)
		client->sent += (size_t)put;
	if (put > 0 && client->sent < client->answer_size)
		return;
	leave_unread(client->fd);
	client_free(client);
}

static void
on_client(struct ev_loop *loop ATTR_UNUSED, ev_io *watcher, int events)
{
	struct client *client = watcher->data;

	if (client->phase == CLIENT_FOLLOWS)
		follower_turn(client, events);
	else if (client->phase == CLIENT_READS)
		send_answer(client);
	else
		receive(client);
}

static void
on_deadline(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher,
    int events ATTR_UNUSED)
{
	struct client *client = watcher->data;

	if (client->phase == CLIENT_WAITS)
		reply(client, command_error("%s is not done after %d s; it "
		    "goes on", client->wait.upgrade ? "the upgrade" :
		    client->wait.drain ? "the drain" : client->wait.channel,
		    (int)COMMAND_S));
	else if (client->phase == CLIENT_ASKS_TOO_MUCH)
		reply_too_long(client);
	else
		client_free(client);
}

static void
on_pause(struct ev_loop *loop, ev_timer *watcher, int events ATTR_UNUSED)
{
	ev_timer_stop(loop, watcher);
	listen_again(watcher->data);
}

bool
client_is_master(uid_t user)
{
	return user == 0 || user == geteuid();
}

/* Workers have no more places together because they are many users. */
static uid_t
peer_of(const struct control *control, int fd)
{
	const struct conf *conf = control->supervisor->conf;
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof(peer);

	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return users_is_child(conf, peer.uid) ? conf->decimator_user.uid :
	    peer.uid;
}

/* NULL: there is a place for this user. */
static json_t *
refusal(const struct control *control, uid_t user)
{
	const struct client *client;
	unsigned own = 0, others = 0;

	if (client_is_master(user))
		return NULL;
	LIST_FOREACH(client, &control->clients, link) {
		own += client->user == user;
		others += !client_is_master(client->user);
	}
	if (own >= USER_MAX)
		return command_error("%u connections of user %u are open: "
		    "try again later", own, (unsigned)user);
	if (others >= OTHERS_MAX)
		return command_error("%u connections of other users are "
		    "open: try again later", others);
	return NULL;
}

/* At once, as far as there is room, and there is. */
static void
turn_away(int fd, json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT);
	size_t size;

	json_decref(answer);
	if (text == NULL)
		fatalx("out of memory");
	/* A line, and its end; no NUL. */
	size = strlen(text);
	text[size++] = '\n';
	if (send(fd, text, size, MSG_NOSIGNAL) == -1)
		log_debug("control socket: a client left before its answer");
	leave_unread(fd);
	free(text);
	close(fd);
}

static struct client *
add_client(struct control *control, int fd)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->control = control;
	client->fd = fd;
	client->user = peer_of(control, fd);
	ev_init(&client->io, on_client);
	ev_init(&client->deadline, on_deadline);
	client->io.data = client->deadline.data = client;
	LIST_INSERT_HEAD(&control->clients, client, link);
	control->count++;
	return client;
}

static void
on_connection(struct ev_loop *loop, ev_io *watcher, int events ATTR_UNUSED)
{
	struct control *control = watcher->data;
	json_t *answer;
	int fd;

	fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			ev_io_stop(loop, watcher);
			ev_timer_again(loop, &control->pause);
		}
		return;
	}
	if ((answer = refusal(control, peer_of(control, fd))) != NULL) {
		turn_away(fd, answer);
		return;
	}
	set_phase(add_client(control, fd), CLIENT_ASKS, EV_READ, CLIENT_S);
	if (control->count == CLIENTS_MAX)
		ev_io_stop(loop, watcher);
}

/*** The socket. ***/

static int
make_socket(struct control *control)
{
	const struct rundir *rundir = &control->supervisor->rundir;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	struct sockaddr_un address;
	mode_t mask;
	int bound;

	if (fd == -1)
		return -1;
	/* We hold the lock on mcrelayd.pid: the process that made this
	 * socket has ended. */
	rundir_remove(rundir, SOCKET_NAME);
	rundir_address(rundir, SOCKET_NAME, &address);
	mask = umask(0117);
	bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bound == -1 || listen(fd, CLIENTS_MAX) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The client that asked the image before us for the upgrade. */
static void
adopt_client(struct control *control, int fd)
{
	struct client *client = add_client(control, fd);

	client->wait.upgrade = true;
	set_phase(client, CLIENT_WAITS, 0, COMMAND_S);
}

static int
listening_socket(struct control *control)
{
	struct inheritance *inheritance = control->supervisor->inheritance;

	if (inheritance != NULL && inheritance->control != -1)
		return inheritance_take(&inheritance->control);
	return make_socket(control);
}

struct control *
control_open(struct supervisor *supervisor, struct conf_problems *problems)
{
	struct control *control = xcalloc(1, sizeof(*control));

	control->supervisor = supervisor;
	control->fd = listening_socket(control);
	if (control->fd == -1) {
		report_error(problems, "control socket %s/" SOCKET_NAME
		    ": %s", supervisor->rundir.path, strerror(errno));
		free(control);
		return NULL;
	}
	LIST_INIT(&control->clients);
	ev_io_init(&control->io, on_connection, control->fd, EV_READ);
	ev_timer_init(&control->pause, on_pause, 0., PAUSE_S);
	control->io.data = control->pause.data = control;
	ev_io_start(supervisor->loop, &control->io);
	if (supervisor->inheritance != NULL &&
	    supervisor->inheritance->client != -1)
		adopt_client(control, inheritance_take(
		    &supervisor->inheritance->client));
	return control;
}

int
control_socket(const struct control *control)
{
	return control->fd;
}

int
control_upgrader(const struct control *control)
{
	const struct client *client;

	LIST_FOREACH(client, &control->clients, link)
		if (client->phase == CLIENT_WAITS && client->wait.upgrade)
			return client->fd;
	return -1;
}

bool
control_hold(struct control *control, bool hold)
{
	control->held = hold;
	if (!hold) {
		listen_again(control);
		return false;
	}
	ev_io_stop(control->supervisor->loop, &control->io);
	/* They come back, and wait in the backlog. */
	followers_end(control, false);
	return control->count == (control_upgrader(control) != -1);
}

void
control_close(struct control *control)
{
	struct ev_loop *loop;

	if (control == NULL)
		return;
	loop = control->supervisor->loop;
	followers_end(control, true);
	while (!LIST_EMPTY(&control->clients))
		client_free(LIST_FIRST(&control->clients));
	ev_io_stop(loop, &control->io);
	ev_timer_stop(loop, &control->pause);
	rundir_remove(&control->supervisor->rundir, SOCKET_NAME);
	close(control->fd);
	free(control);
}

void
control_check(struct control *control)
{
	struct client *client, *next;
	json_t *answer;

	if (control == NULL)
		return;
	followers_wake(control);
	for (client = LIST_FIRST(&control->clients); client != NULL;
	    client = next) {
		next = LIST_NEXT(client, link);
		if (client->phase != CLIENT_WAITS)
			continue;
		answer = command_check(control->supervisor, &client->wait);
		if (answer != NULL)
			reply(client, answer);
	}
}
