/* SPDX-License-Identifier: ISC */
/*
 * Archives of decimated streams.  Supervisor only.  Each is a channel like
 * those in the file, but that its input comes from the decimator: so all that
 * is known of channels holds for it.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "schema/schema.h"
#include "common/util.h"
#include "supervisor/conf/conf_priv.h"

/* A stream is slow, or there is no point in it. */

bool
conf_stream_archive_name(char name[static CHANNEL_NAME_MAX + 1],
    const char *channel,
    const char *stream)
{
	size_t first = strlen(channel), second = strlen(stream);

	if (first + 1 + second > CHANNEL_NAME_MAX)
		return false;
	memcpy(name, channel, first);
	name[first] = '.';
	memcpy(name + first + 1, stream, second + 1);
	return true;
}

void
conf_parent_name(char name[static CHANNEL_NAME_MAX + 1], const char *channel)
{
	size_t length = strcspn(channel, ".");

	memcpy(name, channel, length);
	name[length] = '\0';
}

/* Any port that is free. */
static void
fill_listen(struct listen_config *listen)
{
	struct sockaddr_in *in = (void *)&listen->address;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void
copy_payload(struct channel_conf *archiver, const struct channel_conf *parent)
{
	archiver->schema_text = xstrdup(parent->schema_text);
	archiver->program = xmalloc(parent->program_size);
	archiver->program_size = parent->program_size;
	memcpy(archiver->program, parent->program, parent->program_size);
}

/* The reason why there is no program, to be freed; NULL: there is one. */
static char *
derive_payload(struct channel_conf *archiver, const struct stream_conf *stream)
{
	struct schema_result result;
	char *error;

	archiver->schema_text = xstrdup(stream->schema_text);
	(void)schema_compile(stream->schema_text, strlen(stream->schema_text),
	    NULL, &result);
	archiver->program = result.program;
	archiver->program_size = result.program_size;
	error = result.error;
	result.program = result.error = NULL;
	schema_result_free(&result);
	return error;
}

static void
add_one(struct channel_conf *archiver, const struct channel_conf *parent,
    const struct stream_conf *stream, struct place place,
    struct problem_list *problems)
{
	char *error = NULL;

	(void)conf_stream_archive_name(archiver->name, parent->name,
	    stream->name);
	archiver->line = parent->line;
	archiver->archives_stream = true;
	archiver->listen = xcalloc(1, sizeof(*archiver->listen));
	archiver->inputs = 1;
	fill_listen(archiver->listen);
	archiver->payload = parent->payload;
	if (stream->schema_text != NULL)
		error = derive_payload(archiver, stream);
	else if (parent->program != NULL)
		copy_payload(archiver, parent);
	archiver->archive = parent->archive;
	archiver->archive.keep_unforwarded = 0;
	if (parent->require_mount != NULL)
		archiver->require_mount = xstrdup(parent->require_mount);
	archiver->ring_size = MIN_OF(parent->ring_size,
	    STREAM_ARCHIVE_RING_SIZE);
	archiver->ring_auto = parent->ring_auto;
	archiver->archive.block_size = MIN_OF(parent->archive.block_size,
	    archiver->ring_size / RING_BLOCKS);
	archiver->listen->receive_buffer = parent->listen->receive_buffer;
	archiver->listen->coalesce_ns = COALESCE_AUTO;
	archiver->run.cpu = -1;
	archiver->uring = parent->uring;
	if (error != NULL)
		problem_error(problems, place, "the schema of stream `%s' "
		    "cannot be archived: %s", archiver->name, error);
	free(error);
}

static size_t
count(const struct conf *conf)
{
	size_t i, j, n = 0;

	for (i = 0; i < conf->channels; i++)
		for (j = 0; j < conf->channel[i].decimates; j++)
			n += conf->channel[i].decimate[j].archive;
	return n;
}

void
conf_add_stream_archives(struct conf *conf, struct place place,
    struct problem_list *problems)
{
	size_t i, j, own = conf->channels, all = own + count(conf);
	struct channel_conf *parent;

	if (all > CHANNELS_MAX) {
		problem_error(problems, place, "with the archives of streams "
		    "there are %zu channels: at most %u", all, CHANNELS_MAX);
		return;
	}
	conf->channel = xrealloc(conf->channel,
	    (all + 1) * sizeof(*conf->channel));
	memset(conf->channel + own, 0, (all + 1 - own) *
	    sizeof(*conf->channel));
	for (i = 0; i < own; i++) {
		parent = &conf->channel[i];
		for (j = 0; j < parent->decimates; j++)
			if (parent->decimate[j].archive)
				add_one(&conf->channel[conf->channels++],
				    parent, &parent->decimate[j], place,
				    problems);
	}
}
