/* SPDX-License-Identifier: ISC */
/*
 * What comes by a socket, as it comes.  mcrelay-cat.  A datagram becomes the
 * record that mcrelay-worker would have archived, or is taken for datums of a
 * schema.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/datum.h"
#include "common/log.h"
#include "common/udp.h"
#include "common/utf8.h"
#include "common/util.h"
#include "schema/schema.h"
#include "tools/cat/cat.h"
#include "tools/common/regular.h"

/* How long a wait is, when nobody ends it. */
#define WAIT_MS		100
/* What the kernel makes one message of at most. */
#define MESSAGE_MAX	65536U

struct live {
	struct cat		*cat;
	int			 fd;
	struct records		 records;
	uint8_t			 data[MESSAGE_MAX];
	struct sockaddr_storage	 source;
	struct udp_arrival	 arrival;
	uint64_t		 sequence;
	uint64_t		 others;	/* no datums of the schema */
	struct buffer		 record;
};

static void
show_datums(struct live *live, const uint8_t *data, size_t size)
{
	static struct log_limit limit;
	const uint8_t *at = data;
	enum datum_error error;
	uint32_t datums;

	error = datum_validate(live->records.program, data, size, &datums);
	if (error != DATUM_OK) {
		live->others++;
		log_limited(&limit, "a datagram of %zu bytes is left out: %s",
		    size, datum_error_text(error));
		return;
	}
	for (; datums > 0 && !cat_done(live->cat); datums--)
		at = cat_show(live->cat, at, data + size);
}

static void
show_datagram(struct live *live, const uint8_t *data, size_t size)
{
	if (!live->records.datagrams) {
		show_datums(live, data, size);
		return;
	}
	cat_record(&live->record, live->arrival.received_ns,
	    live->sequence++, &live->source, data, size);
	cat_show(live->cat, live->record.data,
	    live->record.data + live->record.size);
}

/* One message, which may be several datagrams of one size. */
static void
show_message(struct live *live, size_t size)
{
	const size_t each = live->arrival.datagram_size;
	size_t at = 0, some;

	do {
		some = each == 0 ? size - at : MIN_OF(each, size - at);
		show_datagram(live, live->data + at, some);
		at += some;
	} while (at < size && !cat_done(live->cat));
}

/* False when there is nothing now. */
static bool
receive(struct live *live)
{
	union {
		struct cmsghdr	header;
		uint8_t		room[256];
	} control;
	struct iovec iov = { live->data, sizeof(live->data) };
	struct msghdr message = {
		.msg_name = &live->source,
		.msg_namelen = sizeof(live->source),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const ssize_t got = recvmsg(live->fd, &message, MSG_DONTWAIT);

	if (got == -1) {
		if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
			log_warn("cannot receive");
			live->cat->failed = true;
		}
		return false;
	}
	udp_read_arrival(&message, &live->arrival);
	if (live->arrival.received_ns == 0)
		live->arrival.received_ns = clock_realtime_ns();
	show_message(live, (size_t)got);
	return true;
}

static void
run(struct live *live)
{
	struct pollfd fd = { .fd = live->fd, .events = POLLIN };
	struct udp_memory memory;

	while (!cat_done(live->cat)) {
		if (receive(live))
			continue;
		cat_settle(live->cat);
		if (out_watched(&live->cat->out))
			poll(&fd, 1, WAIT_MS);
	}
	if (live->others != 0)
		cat_partly(live->cat, "%" PRIu64 " datagrams were not whole "
		    "datums of the schema", live->others);
	if (udp_read_memory(live->fd, &memory) && memory.drops != 0)
		cat_partly(live->cat, "the kernel dropped %" PRIu32
		    " datagrams: they came faster than they were read",
		    memory.drops);
}

/* The text of a schema file, malloc'ed; NULL after a log line. */
static char *
read_schema(const char *path, size_t *size)
{
	const char *why;
	FILE *file = regular_fopen(AT_FDCWD, path, 0, &why);
	char *text;

	if (file == NULL) {
		log_warnx("%s: %s", path, why);
		return NULL;
	}
	text = xmalloc(SCHEMA_SIZE_MAX + 1);
	*size = fread(text, 1, SCHEMA_SIZE_MAX + 1, file);
	fclose(file);
	utf8_drop_mark(text, size);
	return text;
}

static bool
begin(struct live *live, char **schema)
{
	const struct cat_options *options = live->cat->options;
	struct shape shape = {
		.path = options->schema,
		.records = &live->records,
		.to = options->from.address,
	};

	if (options->schema != NULL) {
		*schema = read_schema(options->schema, &shape.schema_size);
		if (*schema == NULL)
			return false;
		shape.schema = *schema;
	} else {
		shape.path = "-l";
		shape.schema = records_datagram_schema;
		shape.schema_size = strlen(records_datagram_schema);
	}
	(void)records_open(&live->records, shape.schema, shape.schema_size);
	return cat_begin(live->cat, &shape);
}

void
live_run(struct cat *cat)
{
	struct live *live = xcalloc(1, sizeof(*live));
	char *schema = NULL;

	live->cat = cat;
	live->fd = -1;
	cat->failed = !begin(live, &schema);
	if (!cat->failed) {
		live->fd = endpoint_open_sink(&cat->options->from);
		cat->failed = live->fd == -1;
	}
	if (!cat->failed)
		run(live);
	if (live->fd != -1)
		close(live->fd);
	records_free(&live->records);
	free(live->record.data);
	free(live);
	free(schema);
}
