/* SPDX-License-Identifier: ISC */
/*
 * Captures: their UDP datagrams as the records that mcrelay-worker would have
 * archived.  mcrelay-cat.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "tools/cat/cat.h"
#include "tools/common/capture.h"

/* Where all datagrams went; AF_UNSPEC: here and there.  False after a log
 * line. */
static bool
find_destination(const char *path, struct sockaddr_storage *to)
{
	struct capture_datagram datagram;
	struct capture *capture;
	bool first = true;
	const char *end;
	char *why;

	memset(to, 0, sizeof(*to));
	capture = capture_open(path, &why);
	if (capture == NULL) {
		log_warnx("%s: %s", path, why);
		free(why);
		return false;
	}
	for (; capture_next(capture, &datagram, &end) == CAPTURE_OK;
	    first = false)
		if (first)
			*to = datagram.to;
		else if (memcmp(to, &datagram.to, sizeof(*to)) != 0)
			to->ss_family = AF_UNSPEC;
	capture_close(capture);
	return true;
}

static void
report(struct cat *cat, const char *path, const struct capture *capture)
{
	uint64_t fragments, cut;

	capture_left_out(capture, &fragments, &cut);
	if (fragments != 0)
		cat_partly(cat, "%s: %" PRIu64 " fragments of datagrams are "
		    "left out", path, fragments);
	if (cut != 0)
		cat_partly(cat, "%s: %" PRIu64 " datagrams are left out: they "
		    "were not captured whole", path, cut);
}

static void
show(struct cat *cat, const char *path, struct capture *capture)
{
	enum capture_status status = CAPTURE_END;
	struct capture_datagram datagram;
	struct buffer record = {0};
	uint64_t sequence = 0;
	const char *why;

	while (!cat_done(cat) && (status = capture_next(capture, &datagram,
	    &why)) == CAPTURE_OK) {
		cat_record(&record, datagram.time_ns, sequence++,
		    &datagram.from, datagram.payload, datagram.size);
		cat_show(cat, record.data, record.data + record.size);
	}
	if (status == CAPTURE_DAMAGED)
		cat_partly(cat, "%s: %s", path, why);
	report(cat, path, capture);
	free(record.data);
}

void
capture_run(struct cat *cat, const char *path)
{
	struct capture *capture;
	struct records records;
	struct shape shape = {
		.path = path,
		.records = &records,
		.schema = records_datagram_schema,
		.schema_size = strlen(records_datagram_schema),
	};
	char *why;

	cat->failed = !find_destination(path, &shape.to);
	if (cat->failed)
		return;
	(void)records_open(&records, shape.schema, shape.schema_size);
	capture = capture_open(path, &why);
	if (capture == NULL) {
		log_warnx("%s: %s", path, why);
		free(why);
		cat->failed = true;
	} else {
		if (cat_begin(cat, &shape))
			show(cat, path, capture);
		capture_close(capture);
	}
	records_free(&records);
}
