/* SPDX-License-Identifier: ISC */
/*
 * The doctor's check of forwarding: what the servers say of themselves to
 * whoever connects, and how far the channels are.
 */
#include <sys/socket.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/util.h"
#include "supervisor/doctor/doctor_priv.h"

/* For each step of asking one. */
#define ANSWER_MS	2000
#define INFO_MAX	65536U
#define PORT_PRESET	"4222"

/* Versions before it have lost streams when servers were killed. */
static const unsigned	 safe_version[3] = {2, 10, 23};
/* Blocks of the usual size fit, or are taken apart. */
#define PAYLOAD_GOOD	(512 * 1024)

/*** What a server says. ***/

/* NAME:PORT, without what comes before @; to be freed. */
static char *
place_of(const char *server)
{
	const char *at = strrchr(server, '@'), *name = strstr(server, "//");

	name = at != NULL ? at + 1 : name != NULL ? name + 2 : server;
	return xasprintf("%.*s", (int)strcspn(name, "/"), name);
}

/* 0, or an error of getaddrinfo(). */
static int
look_up(const char *place, struct addrinfo **found)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const char *end = *place == '[' ? strchr(place, ']') : place;
	const char *colon = end == NULL ? NULL : strchr(end, ':');
	const size_t size = colon != NULL ? (size_t)(colon - place) :
	    strlen(place);
	char *host = *place == '[' && size > 2 ?
	    xasprintf("%.*s", (int)size - 2, place + 1) :
	    xasprintf("%.*s", (int)size, place);
	int error = getaddrinfo(host, colon != NULL ? colon + 1 : PORT_PRESET,
	    &hints, found);

	free(host);
	return error;
}

static bool
wait_until(int fd, short events)
{
	struct pollfd pollfd = {.fd = fd, .events = events};

	return poll(&pollfd, 1, ANSWER_MS) == 1;
}

/* -1 with errno. */
static int
connect_to(const struct addrinfo *to)
{
	int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0), error = 0;
	socklen_t size = sizeof(error);

	if (fd == -1)
		return -1;
	if (connect(fd, to->ai_addr, to->ai_addrlen) == -1)
		error = errno;
	if (error == EINPROGRESS && !wait_until(fd, POLLOUT))
		error = ETIMEDOUT;
	else if (error == EINPROGRESS)
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

/* Its first line, INFO and an object; NULL: it says something else. */
static json_t *
read_info(int fd)
{
	char *text = xmalloc(INFO_MAX), *end = NULL;
	json_t *info = NULL;
	size_t size = 0;
	ssize_t got;

	while (end == NULL && size < INFO_MAX && wait_until(fd, POLLIN)) {
		got = read(fd, text + size, INFO_MAX - size);
		if (got <= 0)
			break;
		size += (size_t)got;
		end = memchr(text, '\n', size);
	}
	if (end != NULL && size > 5 && strncmp(text, "INFO ", 5) == 0)
		info = json_loadb(text + 5, (size_t)(end - text) - 5, 0, NULL);
	free(text);
	return info;
}

/*** What is to be said of it. ***/

static bool
is_safe(const char *version)
{
	unsigned i;
	char *end;

	for (i = 0; i < NITEMS(safe_version); i++) {
		const unsigned long part = strtoul(version, &end, 10);

		if (part != safe_version[i])
			return part > safe_version[i];
		version = *end == '.' ? end + 1 : end;
	}
	return true;
}

static void
look_at_info(struct doctor *doctor, const char *place, const json_t *info)
{
	const struct forward_conf *conf = &doctor->conf->forward;
	const char *version = json_string_value(json_object_get(info,
	    "version"));
	const long long payload = json_integer_value(json_object_get(info,
	    "max_payload"));

	if (version == NULL)
		version = "of an unknown version";
	if (!json_is_true(json_object_get(info, "jetstream")))
		doctor_say(doctor, DOCTOR_FAIL, place, "nats-server %s "
		    "without JetStream", version);
	else if (conf->replicas > 1 && json_object_get(info, "cluster") ==
	    NULL)
		doctor_say(doctor, DOCTOR_FAIL, place, "nats-server %s, of no "
		    "cluster: it makes no %u replicas", version,
		    conf->replicas);
	else if (json_is_true(json_object_get(info, "tls_required")) &&
	    !conf->tls)
		doctor_say(doctor, DOCTOR_FAIL, place, "nats-server %s wants "
		    "TLS: say `tls: {}' in `forward'", version);
	else if (is_safe(version) && payload >= PAYLOAD_GOOD)
		doctor_say(doctor, DOCTOR_OK, place, "nats-server %s",
		    version);
	else {
		if (!is_safe(version))
			doctor_say(doctor, DOCTOR_WARN, place, "nats-server "
			    "%s: before 2.10.23 servers have lost streams "
			    "when they were killed", version);
		if (payload < PAYLOAD_GOOD)
			doctor_say(doctor, DOCTOR_WARN, place, "max_payload "
			    "of %lld bytes: blocks are taken apart", payload);
	}
}

/* Others of the cluster may answer. */
static void
look_at_server(struct doctor *doctor, const char *server)
{
	char *place = place_of(server);
	struct addrinfo *found = NULL;
	json_t *info = NULL;
	int error = look_up(place, &found), fd = -1;

	if (error == 0 && (fd = connect_to(found)) == -1)
		doctor_say(doctor, DOCTOR_WARN, place, "cannot be reached: %s",
		    strerror(errno));
	else if (error != 0)
		doctor_say(doctor, DOCTOR_WARN, place, "cannot be looked up: "
		    "%s", gai_strerror(error));
	else if ((info = read_info(fd)) == NULL)
		doctor_say(doctor, DOCTOR_FAIL, place, "is no NATS server");
	else
		look_at_info(doctor, place, info);
	json_decref(info);
	if (fd != -1)
		close(fd);
	if (found != NULL)
		freeaddrinfo(found);
	free(place);
}

static void
look_at_channel(struct doctor *doctor, const json_t *channel)
{
	const json_t *forward = json_object_get(channel, "forward");
	const char *name = json_string_value(json_object_get(channel, "name"));
	const char *state = json_string_value(json_object_get(forward,
	    "state"));
	const json_int_t behind_ms = json_integer_value(json_object_get(
	    forward, "behind_ms"));

	if (name != NULL && state != NULL)
		doctor_say(doctor, strcmp(state, "forwarding") == 0 ?
		    DOCTOR_OK : DOCTOR_WARN, name, "%s, %lld s behind", state,
		    (long long)behind_ms / 1000);
}

void
doctor_check_forward(struct doctor *doctor)
{
	const struct forward_conf *conf = &doctor->conf->forward;
	const json_t *channels = json_object_get(json_object_get(doctor->facts,
	    "status"), "channels"), *channel;
	size_t i;

	if (!conf->wanted) {
		doctor_say(doctor, DOCTOR_OK, "", "none is configured");
		return;
	}
	for (i = 0; i < conf->servers; i++)
		look_at_server(doctor, conf->server[i]);
	json_array_foreach(channels, i, channel)
		look_at_channel(doctor, channel);
}
