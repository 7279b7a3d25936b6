/* SPDX-License-Identifier: ISC */
/*
 * The contender "classic": one recvfrom, header and payload through stdio
 * with a flush, one sendto, for each datagram.  Program bench/contender.
 */
#include <sys/socket.h>
#include <err.h>
#include <stdio.h>

#include "bench/contender.h"
#include "common/util.h"

static FILE *
next_stream(struct contender *contender, FILE *before)
{
	FILE *stream;

	if (before != NULL)
		fclose(before);
	stream = fdopen(contender_next_file(contender), "w");
	if (stream == NULL)
		err(1, "fdopen");
	return stream;
}

static void
store(FILE *stream, const struct stored_header *header, const void *payload)
{
	fwrite(header, sizeof(*header), 1, stream);
	fwrite(payload, header->length, 1, stream);
	if (fflush(stream) != 0)
		err(1, "write");
}

void
classic_run(struct contender *contender)
{
	static uint8_t buffer[DATAGRAM_MAX];
	struct stored_header header = {0};
	FILE *stream = next_stream(contender, NULL);
	uint64_t bytes = 0;
	socklen_t size;
	ssize_t n;

	for (;;) {
		size = sizeof(header.source);
		n = recvfrom(contender->input, buffer, sizeof(buffer), 0,
		    (struct sockaddr *)&header.source, &size);
		if (n == -1)
			continue;
		count(&contender->counters->received, 1);
		header.received_ns = clock_realtime_ns();
		header.length = (uint32_t)n;
		store(stream, &header, buffer);
		count(&contender->counters->archived, 1);
		if (sendto(contender->output, buffer, (size_t)n, 0,
		    (const struct sockaddr *)&contender->group,
		    sizeof(contender->group)) != -1)
			count(&contender->counters->relayed, 1);
		bytes += sizeof(header) + (size_t)n;
		if (bytes >= ROTATE_BYTES) {
			stream = next_stream(contender, stream);
			bytes = 0;
		}
	}
}
