/* SPDX-License-Identifier: ISC */
/*
 * Hands over where a channel sends to and archives.  See handoff_parts.h.
 * Supervisor only.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/util.h"
#include "supervisor/directory.h"
#include "supervisor/fanout.h"
#include "supervisor/handoff_parts.h"
#include "supervisor/handoff_priv.h"
#include "supervisor/supervisor.h"

/* All that a socket was opened for.  Another image that writes it in another
 * way opens it anew. */
static void
purpose(const struct destination_conf *to, char text[INHERITED_PURPOSE_SIZE])
{
	char address[ADDRESS_TEXT_SIZE], source[ADDRESS_TEXT_SIZE] = "";

	format_address((const void *)&to->address, address);
	if (to->source.ss_family != AF_UNSPEC)
		format_address((const void *)&to->source, source);
	snprintf(text, INHERITED_PURPOSE_SIZE,
	    "%s %s ttl %d loop %d from %s dscp %d broadcast %d", address,
	    to->interface, (int)to->ttl, (int)to->loop,
	    to->keep_source ? "the sender" : source,
	    (int)to->dscp, (int)to->broadcast);
}

/*** Writing. ***/

static void
add_socket(struct handoff *handoff, json_t *array, int fd,
    const struct destination_conf *to, const struct attachment *at)
{
	char text[INHERITED_PURPOSE_SIZE];

	if (fd == -1)
		return;
	purpose(to, text);
	json_array_append_new(array, json_pack("{s:o, s:s, s:i, s:i}",
	    "fd", handoff_put_fd(handoff, fd),
	    "to", text,
	    "index", at->index,
	    "error", at->error));
}

json_t *
handoff_inputs(struct handoff *handoff, const struct channel *channel)
{
	const struct xdp_socket *xdp = &channel->xdp.socket;
	json_t *array = json_array(), *object;
	const struct input *input;
	size_t i;

	for (i = 0; i < channel->parts.inputs; i++) {
		input = &channel->parts.input[i];
		json_array_append_new(array, json_pack("{s:o, s:b, s:i}",
		    "fd", handoff_put_fd(handoff, input->fd),
		    "bound", input->bound,
		    "error", input->at.error));
		if (i > 0 || xdp->socket == -1)
			continue;
		object = json_array_get(array, i);
		json_object_set_new(object, "xdp_socket", handoff_put_fd(
		    handoff, xdp->socket));
		json_object_set_new(object, "xdp_memory", handoff_put_fd(
		    handoff, xdp->memory));
	}
	return array;
}

json_t *
handoff_sockets(struct handoff *handoff, const struct channel *channel)
{
	const struct channel_conf *conf = channel->conf;
	const struct parts *parts = &channel->parts;
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < MIN_OF(parts->outputs, conf->relays); i++)
		add_socket(handoff, array, parts->output[i],
		    &conf->relay[i], &parts->output_at[i]);
	for (i = 0; i < MIN_OF(parts->streams, conf->decimates); i++)
		add_socket(handoff, array, parts->stream[i],
		    &conf->decimate[i].to, &parts->stream_at[i]);
	return array;
}

json_t *
handoff_directory(const struct channel *channel)
{
	const struct parts *parts = &channel->parts;
	json_t *object;
	char *path;

	if (parts->archive == -1)
		return json_null();
	path = directory_path(channel->conf);
	object = json_pack("{s:s, s:s, s:b}",
	    "path", path,
	    "away", parts->archive_away,
	    "remote", parts->archive_remote);
	free(path);
	/* A path that is not UTF-8: the next image looks where it leads. */
	return object != NULL ? object : json_null();
}

/*** Reading. ***/

static const char *
get_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

void
handoff_put_places(struct handoff *handoff, json_t *state)
{
	json_t *array = json_array();
	size_t i;
	int fd;

	for (i = 0; (fd = fanout_descriptor(i)) != -1; i++)
		json_array_append_new(array, json_pack("{s:o}", "fd",
		    handoff_put_fd(handoff, fd)));
	json_object_set_new(state, "places", array);
}

void
handoff_get_places(struct inheritance *inheritance, const json_t *state)
{
	const json_t *array = json_object_get(state, "places");
	size_t i;

	for (i = 0; i < json_array_size(array); i++)
		inheritance_add_place(inheritance, handoff_get_fd(
		    json_array_get(array, i), "fd"));
}

static int
get_int(const json_t *object, const char *name)
{
	return (int)json_integer_value(json_object_get(object, name));
}

void
handoff_get_inputs(struct inherited *inherited, const json_t *inputs)
{
	struct inherited_input *each;
	const json_t *object;
	size_t i;

	for (i = 0; i < json_array_size(inputs) && i < INPUTS_MAX; i++) {
		object = json_array_get(inputs, i);
		each = &inherited->input[i];
		if (i > 0)
			each->fd = handoff_get_fd(object, "fd");
		else {
			inherited->xdp_socket = handoff_get_fd(object,
			    "xdp_socket");
			inherited->xdp_memory = handoff_get_fd(object,
			    "xdp_memory");
		}
		each->unbound = !json_is_true(json_object_get(object,
		    "bound"));
		each->error = get_int(object, "error");
	}
}

void
handoff_get_sockets(struct inherited *inherited, const json_t *sockets)
{
	struct inherited_socket *each;
	const json_t *object;
	size_t i;

	/* A name may be there twice. */
	for (i = 0; i < json_array_size(sockets) &&
	    inherited->sockets < NITEMS(inherited->socket); i++) {
		object = json_array_get(sockets, i);
		each = &inherited->socket[inherited->sockets++];
		each->fd = handoff_get_fd(object, "fd");
		each->index = get_int(object, "index");
		each->error = get_int(object, "error");
		snprintf(each->purpose, sizeof(each->purpose), "%s",
		    get_text(object, "to"));
	}
}

void
handoff_get_directory(struct inherited *inherited, const json_t *directory)
{
	snprintf(inherited->archive_path, sizeof(inherited->archive_path),
	    "%s", get_text(directory, "path"));
	snprintf(inherited->archive_away, sizeof(inherited->archive_away),
	    "%s", get_text(directory, "away"));
	inherited->archive_remote = json_is_true(json_object_get(directory,
	    "remote"));
}

/*** Taking. ***/

static int
take_socket(struct inherited *from, const struct destination_conf *to,
    struct attachment *at)
{
	char text[INHERITED_PURPOSE_SIZE];
	struct inherited_socket *each;
	size_t i;

	purpose(to, text);
	for (i = 0; i < from->sockets; i++) {
		each = &from->socket[i];
		if (each->fd == -1 || strcmp(each->purpose, text) != 0)
			continue;
		at->index = each->index;
		at->error = each->error;
		return inheritance_take(&each->fd);
	}
	return -1;
}

/* Where its path leads is looked at when the channel runs. */
static void
take_directory(struct parts *parts, const struct channel_conf *conf,
    struct inherited *from)
{
	char *path;

	if (!conf->archive.enabled || from->archive == -1)
		return;
	path = directory_path(conf);
	if (strcmp(path, from->archive_path) == 0) {
		parts->archive = inheritance_take(&from->archive);
		memcpy(parts->archive_away, from->archive_away,
		    sizeof(parts->archive_away));
		parts->archive_remote = from->archive_remote;
		parts->archive_path = hash_text64(path);
	} else
		directory_share(parts, from->archive,
		    hash_text64(from->archive_path), conf);
	free(path);
}

void
handoff_take_parts(struct parts *parts, const struct channel_conf *conf,
    struct inherited *from)
{
	size_t i;

	for (i = 0; i < conf->relays; i++)
		parts->output[parts->outputs++] = take_socket(from,
		    &conf->relay[i], &parts->output_at[i]);
	for (i = 0; i < conf->decimates; i++)
		parts->stream[parts->streams++] = take_socket(from,
		    &conf->decimate[i].to, &parts->stream_at[i]);
	take_directory(parts, conf, from);
}
