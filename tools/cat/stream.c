/* SPDX-License-Identifier: ISC */
/*
 * Streams of NATS JetStream.  mcrelay-cat.
 */
#include <stdlib.h>

#include "common/log.h"
#include "tools/cat/cat.h"
#include "tools/common/remote.h"

/* Of one message. */
static void
show_message(struct cat *cat, struct reader *reader, const char *name)
{
	struct reader_block block;
	const char *why;

	while (!cat_done(cat) && reader_next(reader, &block, &why) ==
	    READER_OK) {
		files_damage(cat, name, &block);
		files_block(cat, &block, 0);
	}
}

static void
show_messages(struct cat *cat, struct remote *remote)
{
	const char *name = remote_name(remote), *why;
	struct reader *reader;

	while (!cat_done(cat))
		switch (remote_next(remote, cat->options->follow, &reader,
		    &why)) {
		case REMOTE_FILE:
			if (files_begin(cat, reader, name))
				show_message(cat, reader, name);
			break;
		case REMOTE_MORE:
			show_message(cat, reader, name);
			break;
		case REMOTE_NOTHING:
			cat_settle(cat);
			(void)out_watched(&cat->out);
			break;
		case REMOTE_DAMAGED:
			cat_partly(cat, "%s: %s", name, why);
			break;
		case REMOTE_FAILED:
			log_warnx("%s: %s", name, why);
			cat->failed = true;
			return;
		case REMOTE_END:
			return;
		}
}

void
stream_run(struct cat *cat, const char *address)
{
	struct remote *remote;
	char *why;

	remote = remote_open(address, &why);
	if (remote == NULL) {
		log_warnx("%s", why);
		free(why);
		cat->failed = true;
		return;
	}
	if (cat->options->span.start_ns != INT64_MIN)
		remote_seek(remote, cat->options->span.start_ns);
	show_messages(cat, remote);
	remote_close(remote);
}
