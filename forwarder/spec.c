/* SPDX-License-Identifier: ISC */
/*
 * What mcrelayd told us at the start: it has checked it.
 */
#include <sys/stat.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "forwarder/forwarder.h"

struct spec spec;

/* To stay; NULL: it is not there. */
static char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? NULL : xstrdup(text);
}

static int64_t
number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void
read_lanes(const json_t *list)
{
	const json_t *item;
	struct lane_spec *lane;
	size_t i;

	json_array_foreach(list, i, item) {
		if (i == FORWARD_CHANNELS_MAX)
			break;
		lane = &spec.lane[spec.lanes++];
		lane->name = text_of(item, "name");
		lane->stream = text_of(item, "stream");
		lane->subject = text_of(item, "subject");
		if (lane->name == NULL || lane->stream == NULL ||
		    lane->subject == NULL)
			fatalx("what mcrelayd tells has no names");
	}
}

static void
read_leases(const json_t *root)
{
	const json_t *item, *host;
	struct lease_spec *lease;
	size_t i, j;

	spec.lease_ns = (uint64_t)number_of(root, "lease_ns");
	spec.bucket = text_of(root, "bucket");
	spec.instance = text_of(root, "instance");
	json_array_foreach(json_object_get(root, "leases"), i, item) {
		if (i == LEASES_MAX)
			break;
		lease = &spec.lease[spec.leases++];
		lease->name = text_of(item, "name");
		lease->rank = (unsigned)number_of(item, "rank");
		lease->streams = number_of(item, "streams") > 0;
		json_array_foreach(json_object_get(item, "hosts"), j, host)
			if (j < HOSTS_MAX && json_is_string(host))
				lease->host[lease->hosts++] =
				    xstrdup(json_string_value(host));
		if (lease->name == NULL || lease->rank >= lease->hosts)
			fatalx("what mcrelayd tells has no hosts");
	}
	if (spec.leases > 0 && (spec.lease_ns == 0 || spec.bucket == NULL ||
	    spec.instance == NULL))
		fatalx("what mcrelayd tells of leases is not whole");
}

static void
read_spec(const json_t *root)
{
	const json_t *list = json_object_get(root, "servers"), *item;
	const json_t *tls = json_object_get(root, "tls");
	const json_t *limits = json_object_get(root, "limits");
	size_t i;

	json_array_foreach(list, i, item)
		if (json_is_string(item) && i < NITEMS(spec.server))
			spec.server[spec.servers++] =
			    xstrdup(json_string_value(item));
	spec.credentials = text_of(root, "credentials");
	spec.host = text_of(root, "host");
	spec.tls = tls != NULL;
	spec.ca = text_of(tls, "ca");
	spec.certificate = text_of(tls, "certificate");
	spec.key = text_of(tls, "key");
	spec.replicas = number_of(root, "replicas");
	spec.age_ns = number_of(limits, "age_ns");
	spec.size = number_of(limits, "size");
	spec.messages = number_of(limits, "messages");
	read_lanes(json_object_get(root, "channels"));
	read_leases(root);
}

void
spec_load(void)
{
	json_t *root;

	/* Whoever wrote it shares the position. */
	(void)lseek(FORWARD_SPEC_FD, 0, SEEK_SET);
	root = json_loadfd(FORWARD_SPEC_FD, 0, NULL);
	if (root == NULL)
		fatalx("descriptor %d: mcrelayd starts this program",
		    FORWARD_SPEC_FD);
	read_spec(root);
	if (spec.host == NULL || spec.servers == 0)
		fatalx("what mcrelayd tells is not whole");
	json_decref(root);
	close(FORWARD_SPEC_FD);
}
