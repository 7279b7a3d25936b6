/* SPDX-License-Identifier: ISC */
/*
 * Headers of a forwarder's messages, as one key and one by one.  What the
 * server makes of them is test_forward.py's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "forwarder/headers.h"

static char		name[] = "one", stream[] = "mcrelay-one",
			subject[] = "mcrelay.rig.one", host[] = "rig";
static const struct lane_spec	lane = {name, stream, subject};
static const struct piece	piece = {
	.stem = "one_20260101T000000.000000Z_0.avro",
	.first_record = 70,
	.records = 7,
	.sequence_known = true,
	.first_sequence = 0,
	.last_sequence = 18446744073,
	.fingerprint = 0x0012345689abcdef,
	.data = "data",
	.size = 4,
};
static const struct predecessor	before = {
	.number = 4,
	.ahead = 2,
	.by_subject = true,
	.stem = "one_20260101T000000.000000Z_0.avro",
	.first_record = 64,
	.records = 6,
};
static const struct {
	const char	*key;
	const char	*value;
} wanted[] = {
	{"Mcrelay-Channel", "one"},
	{"Mcrelay-Host", "rig"},
	{"Mcrelay-File", "one_20260101T000000.000000Z_0.avro"},
	{"Mcrelay-First-Record", "70"},
	{"Mcrelay-Records", "7"},
	{"Mcrelay-First-Sequence", "0"},
	{"Mcrelay-Last-Sequence", "18446744073"},
	{"Mcrelay-Fingerprint", "0012345689abcdef"},
	{"Nats-Expected-Stream", "mcrelay-one"},
	{"Nats-Expected-Last-Sequence", "6"},
	{"Nats-Expected-Last-Subject-Sequence", "4"},
	{"Nats-Expected-Last-Msg-Id",
	    "one_20260101T000000.000000Z_0.avro:64+6"},
	{"Nats-Msg-Id", "one_20260101T000000.000000Z_0.avro:70+7"},
};

static void
test_one_by_one(void **state ATTR_UNUSED)
{
	struct growing text = {0};
	natsMsg *message = NULL;
	const char *value;
	size_t i;

	spec.host = host;
	headers_compose(&text, &lane, &piece, &before);
	assert_int_equal(natsMsg_Create(&message, subject, NULL, "", 0),
	    NATS_OK);
	assert_true(headers_set(message, &text, false));
	for (i = 0; i < NITEMS(wanted); i++) {
		assert_int_equal(natsMsgHeader_Get(message, wanted[i].key,
		    &value), NATS_OK);
		assert_string_equal(value, wanted[i].value);
	}
	natsMsg_Destroy(message);
	free(text.text);
}

/* A key and its value are what the server gets between two line ends. */
static void
test_joined(void **state ATTR_UNUSED)
{
	struct growing text = {0}, lines = {0};
	const char **keys = NULL, *value;
	natsMsg *message = NULL;
	int count = 0;
	size_t i;

	assert_true(headers_can_join());
	spec.host = host;
	headers_compose(&text, &lane, &piece, &before);
	assert_int_equal(natsMsg_Create(&message, subject, NULL, "", 0),
	    NATS_OK);
	assert_true(headers_set(message, &text, true));
	assert_int_equal(natsMsgHeader_Keys(message, &keys, &count), NATS_OK);
	assert_int_equal(count, 1);
	assert_int_equal(natsMsgHeader_Get(message, keys[0], &value),
	    NATS_OK);
	for (i = 0; i < NITEMS(wanted); i++) {
		growing_text(&lines, i == 0 ? "" : "\r\n");
		growing_text(&lines, wanted[i].key);
		growing_text(&lines, i == NITEMS(wanted) - 1 ? "" : ": ");
		growing_text(&lines, i == NITEMS(wanted) - 1 ? "" :
		    wanted[i].value);
	}
	growing_put(&lines, "", 1);
	assert_string_equal(keys[0], lines.text);
	assert_string_equal(value, wanted[NITEMS(wanted) - 1].value);
	free(keys);
	natsMsg_Destroy(message);
	free(text.text);
	free(lines.text);
}

/* What is not known is not said. */
static void
test_unknown(void **state ATTR_UNUSED)
{
	struct piece little = piece;
	struct growing text = {0};
	const struct predecessor unknown = {.number = 4};

	spec.host = host;
	little.sequence_known = false;
	little.fingerprint = 0;
	headers_compose(&text, &lane, &little, &unknown);
	assert_null(strstr(text.text, "-Sequence: 0"));
	assert_null(strstr(text.text, "Fingerprint"));
	assert_null(strstr(text.text, "Subject"));
	assert_null(strstr(text.text, "Last-Msg-Id"));
	free(text.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_by_one),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_unknown),
	};
	int failed;

	/* A message that is freed goes to a thread of it. */
	if (nats_Open(-1) != NATS_OK)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	nats_Close();
	return failed;
}
