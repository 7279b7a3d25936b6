/* SPDX-License-Identifier: ISC */
/*
 * A plain publisher of libnats, for bench/forward.py: so many messages of one
 * size to a stream that there is, by js_PublishAsync(), as many on their way as
 * mcrelay-forwarder has.  Prints the seconds of its processor time.
 */
#include <sys/resource.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/compiler.h"

#define ON_THEIR_WAY	64
#define BYTES_MAX	(8 << 20)

static int
fail(const char *what, natsStatus status)
{
	fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(status));
	return 1;
}

static void
on_error(jsCtx *js ATTR_UNUSED, jsPubAckErr *error,
    void *closure ATTR_UNUSED)
{
	fprintf(stderr, "a message is not stored: %s\n", error->ErrText);
	_Exit(1);
}

static double
processor_s(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int
publish(natsConnection *connection, const char *subject, int size, long count)
{
	char *data = calloc(1, (size_t)size);
	natsStatus status;
	jsOptions options;
	jsCtx *js = NULL;
	long i;

	(void)jsOptions_Init(&options);
	options.PublishAsync.MaxPending = BYTES_MAX / size < ON_THEIR_WAY ?
	    BYTES_MAX / size : ON_THEIR_WAY;
	options.PublishAsync.ErrHandler = on_error;
	options.PublishAsync.StallWait = 10000;
	status = natsConnection_JetStream(&js, connection, &options);
	for (i = 0; i < count && status == NATS_OK; i++)
		status = js_PublishAsync(js, subject, data, size, NULL);
	if (status == NATS_OK)
		status = js_PublishAsyncComplete(js, NULL);
	free(data);
	jsCtx_Destroy(js);
	if (status != NATS_OK)
		return fail(subject, status);
	printf("%.3f\n", processor_s());
	return 0;
}

int
main(int argc, char **argv)
{
	natsConnection *connection = NULL;
	natsStatus status;
	int result;

	if (argc != 5) {
		fprintf(stderr, "usage: publish server subject size count\n");
		return 2;
	}
	status = natsConnection_ConnectTo(&connection, argv[1]);
	if (status != NATS_OK)
		return fail(argv[1], status);
	result = publish(connection, argv[2], atoi(argv[3]), atol(argv[4]));
	natsConnection_Destroy(connection);
	nats_Close();
	return result;
}
