/* SPDX-License-Identifier: ISC */
/*
 * Fuzzing what a client of the control socket asks for, through the socket.
 * The input is what it sends; it comes in two parts, cut where the first byte
 * of the input says.
 *
 * Whoever sends a line, however long, gets one line of JSON that says
 * `ok', and if it is not, why; nobody else gets anything.  There are two
 * channels, whose workers cannot be started, and a configuration that cannot be
 * read: so nothing happens for longer than the call.
 */
#include <sys/socket.h>
#include <sys/un.h>
#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/control.h"
#include "supervisor/events.h"
#include "supervisor/supervisor.h"
#include "tests/fuzz/scratch.h"

#define ANSWER_SIZE	(256 * 1024)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct supervisor	supervisor;
static struct sockaddr_un	address;
static struct conf		conf;
static struct listen_config	listens[3];
static struct channel_conf	channels[] = {
	{.name = "a", .listen = listens, .inputs = 1},
	{.name = "b", .listen = listens + 1, .inputs = 2,
	    .schema_text = (char *)(uintptr_t)"\"long\"",
	    .archive = {.enabled = 1, .directory = "/dev/null"}},
};

static void
ignore(void *owner ATTR_UNUSED)
{
}

static pid_t
spawn_none(void *owner ATTR_UNUSED, int messages ATTR_UNUSED,
    int stderr_fd ATTR_UNUSED)
{
	return -1;
}

static const struct child_ops	ops = {
	.spawn = spawn_none,
	.ended = ignore,
	.changed = ignore,
};

static void
on_turn(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	control_check(supervisor.control);
}

static void
add_channel(struct channel_conf *channel_conf)
{
	struct channel *channel = xcalloc(1, sizeof(*channel));

	channel->supervisor = &supervisor;
	channel->conf = channel_conf;
	memcpy(channel->name, channel_conf->name, sizeof(channel->name));
	child_init(&channel->child, supervisor.loop, &ops, channel,
	    channel->name, channel->name);
	parts_init(&channel->parts);
	parts_init(&channel->next);
	channel->segment.fd = channel->decimator_event = -1;
	/* It is wanted, and waits for what will not come. */
	channel->child.held = true;
	channel->parts.lack.error = ENODEV;
	snprintf(channel->parts.lack.detail,
	    sizeof(channel->parts.lack.detail), "nothing is there");
	TAILQ_INSERT_TAIL(&supervisor.channels, channel, link);
}

static void
begin(void)
{
	struct conf_problems problems = {0};
	size_t i;

	supervisor.loop = ev_default_loop(0);
	supervisor.conf = &conf;
	supervisor.fleet.supervisor = &supervisor;
	/* Neither can be read. */
	supervisor.file = supervisor.absolute_file = "/dev/null/c.yaml";
	supervisor.program = "/dev/null/mcrelayd";
	supervisor.phase = PHASE_RUNNING;
	supervisor.rundir.path = xstrdup(scratch_path("."));
	supervisor.rundir.fd = scratch();
	supervisor.rundir.lock = -1;
	TAILQ_INIT(&supervisor.channels);
	TAILQ_INIT(&supervisor.leaving);
	decimators_init(&supervisor);
	upgrade_init(&supervisor.upgrade, &supervisor);
	ev_timer_init(&supervisor.turn, on_turn, 0., 0.);
	for (i = 0; i < NITEMS(channels); i++)
		add_channel(&channels[i]);
	supervisor.events = events_new();
	supervisor.control = control_open(&supervisor, &problems);
	assert(supervisor.control != NULL);
	rundir_address(&supervisor.rundir, "mcrelayd.sock", &address);
}

static void
turns(void)
{
	for (unsigned i = 0; i < 3; i++)
		ev_run(supervisor.loop, EVRUN_NOWAIT);
}

static void
check_answer(const char *text, size_t size)
{
	json_t *answer;

	assert(size > 0 && memchr(text, '\n', size) == text + size - 1);
	answer = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	assert(json_is_boolean(json_object_get(answer, "ok")));
	assert(json_is_true(json_object_get(answer, "ok")) ||
	    json_is_string(json_object_get(answer, "error")));
	json_decref(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[ANSWER_SIZE];
	const size_t cut = size > 0 ? data[0] % size : 0;
	ssize_t got;
	int fd;

	if (supervisor.loop == NULL)
		begin();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert(fd != -1);
	assert(connect(fd, (void *)&address, sizeof(address)) == 0);
	turns();
	assert(send(fd, data, cut, MSG_NOSIGNAL) == (ssize_t)cut);
	turns();
	/* It may have its answer already. */
	(void)send(fd, data + cut, size - cut, MSG_NOSIGNAL);
	turns();
	got = recv(fd, text, sizeof(text), 0);
	if (memchr(data, '\n', size) != NULL) {
		assert(got > 0);
		/* Events may follow. */
		check_answer(text, (size_t)((char *)memchr(text, '\n',
		    (size_t)got) - text) + 1);
	} else
		assert(got == -1);
	close(fd);
	turns();
	return 0;
}
