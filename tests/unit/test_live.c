/* SPDX-License-Identifier: ISC */
/*
 * What a decimator shows, also one that was taken over: packets that make no
 * sense, of streams that there are not, with datums that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/live.h"
#include "common/util.h"
#include "schema/schema.h"
#include "web/streams.h"

#define KEY	UINT64_C(0xfedcba9876543210)

static const char document[] =
    "{\"streams\": [{\"key\": -81985529216486896, \"channel\": \"one\","
    " \"stream\": \"s\", \"summary\": false, \"interval_ns\": 100000000,"
    " \"every\": 0, \"schema\": 0, \"names\": 0}], \"schemas\": ["
    "\"{\\\"type\\\": \\\"record\\\", \\\"name\\\": \\\"R\\\","
    " \\\"doc\\\": \\\"what\\\", \\\"fields\\\": ["
    "{\\\"name\\\": \\\"n\\\", \\\"type\\\": \\\"int\\\","
    " \\\"unit\\\": \\\"V\\\"},"
    "{\\\"name\\\": \\\"x\\\", \\\"type\\\": [\\\"null\\\","
    " \\\"double\\\"]}]}\"]}";

static struct streams_counts	before;

static int
load(void **state ATTR_UNUSED)
{
	json_t *json = json_loads(document, 0, NULL);

	assert_non_null(json);
	assert_true(streams_load(json));
	assert_false(streams_load(json));
	json_decref(json);
	before = *streams_count();
	return 0;
}

static int
end(void **state ATTR_UNUSED)
{
	streams_end();
	return 0;
}

/* So many more, of each kind. */
static void
counted(uint64_t datums, uint64_t packets, uint64_t unknown, uint64_t bad)
{
	const struct streams_counts *now = streams_count();

	assert_int_equal(now->datums - before.datums, datums);
	assert_int_equal(now->bad_packets - before.bad_packets, packets);
	assert_int_equal(now->unknown - before.unknown, unknown);
	assert_int_equal(now->bad_datums - before.bad_datums, bad);
	assert_int_equal(now->no_room, before.no_room);
	before = *now;
}

struct packet {
	uint8_t	*data;
	size_t	 size;
};

static struct packet
begin(void)
{
	static const uint64_t magic = LIVE_MAGIC;
	struct packet packet = {xmalloc(LIVE_PACKET_MAX), sizeof(magic)};

	memcpy(packet.data, &magic, sizeof(magic));
	return packet;
}

static void
add(struct packet *packet, uint64_t key, const void *data, uint32_t size,
    uint32_t said)
{
	struct live_record record = {.key = key, .time_ns = 5 * NS_PER_S,
	    .size = said};

	memcpy(packet->data + packet->size, &record, sizeof(record));
	packet->size += sizeof(record);
	memcpy(packet->data + packet->size, data, size);
	memset(packet->data + packet->size + size, 0,
	    LIVE_PADDED(size) - size);
	packet->size += LIVE_PADDED(size);
}

/* In memory of exactly its size, so that a sanitizer sees what lies beyond. */
static void
take(struct packet *packet, size_t size)
{
	uint8_t *exact = xmalloc(size + (size == 0));

	memcpy(exact, packet->data, size);
	streams_packet(exact, size);
	free(exact);
	free(packet->data);
}

static const uint8_t good[] = {0x2a, 0x02, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f};
static const uint8_t null[] = {0x29, 0x00};

static char *
shown(void)
{
	struct stream *stream = streams_find("one/s");
	struct history_place place = {0, 0};
	struct text *text = text_new();
	struct history_entry entry;
	uint8_t data[64];
	char *copy;

	assert_non_null(stream);
	(void)history_catch_up(&stream->history, &place);
	while (history_look(&stream->history, &place, &entry)) {
		assert_true(entry.size <= sizeof(data));
		history_take(&stream->history, &place, &entry, data);
		layout_print(stream->layout, data, entry.size, text);
		text_puts(text, ";");
	}
	copy = xasprintf("%.*s", (int)text->size, text->data);
	text_release(text);
	return copy;
}

static void
good_ones_are_shown(void **state ATTR_UNUSED)
{
	struct packet packet = begin();
	char *text;

	add(&packet, KEY, good, sizeof(good), sizeof(good));
	add(&packet, KEY, null, sizeof(null), sizeof(null));
	take(&packet, packet.size);
	counted(2, 0, 0, 0);
	text = shown();
	assert_string_equal(text, ",21,1.5;,-21,null;");
	free(text);
}

static void
others_are_left_out(void **state ATTR_UNUSED)
{
	static const uint8_t wrong[][8] = {{0x2a, 0x04}, {0x2a, 0x02, 0, 0},
	    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x29, 0x00, 0x29, 0x00}};
	static const uint32_t sizes[] = {2, 4, 6, 4};
	struct packet packet = begin();
	size_t i;

	for (i = 0; i < NITEMS(sizes); i++)
		add(&packet, KEY, wrong[i], sizes[i], sizes[i]);
	add(&packet, KEY, "", 0, 0);
	add(&packet, KEY + 1, good, sizeof(good), sizeof(good));
	add(&packet, 0, good, sizeof(good), sizeof(good));
	add(&packet, KEY, good, sizeof(good), sizeof(good));
	take(&packet, packet.size);
	counted(1, 0, 2, 5);
}

/* What follows a record that is none is none. */
static void
no_record_is_believed(void **state ATTR_UNUSED)
{
	static const uint32_t said[] = {sizeof(good) + 7, 4096, 65536,
	    INT32_MAX, UINT32_MAX - 7, UINT32_MAX};
	struct packet packet;
	size_t i;

	for (i = 0; i < NITEMS(said); i++) {
		packet = begin();
		add(&packet, KEY, good, sizeof(good), sizeof(good));
		add(&packet, KEY, good, sizeof(good), said[i]);
		take(&packet, packet.size);
		counted(1, 1, 0, 0);
	}
}

/* At any byte. */
static void
packets_may_be_cut_off(void **state ATTR_UNUSED)
{
	size_t whole = sizeof(uint64_t), size, one;
	struct packet packet;

	for (size = 0; ; size++) {
		packet = begin();
		add(&packet, KEY, good, sizeof(good), sizeof(good));
		add(&packet, KEY, null, sizeof(null), sizeof(null));
		one = sizeof(struct live_record) + LIVE_PADDED(sizeof(good));
		if (size > packet.size)
			break;
		take(&packet, size);
		counted(size == packet.size ? 2 : size >= whole + one, size !=
		    packet.size && size != whole && size != whole + one, 0, 0);
	}
	free(packet.data);
}

static void
anything_may_come(void **state ATTR_UNUSED)
{
	struct packet packet;
	size_t size, i;
	unsigned round;

	srandom(1);
	for (round = 0; round < 20000; round++) {
		packet = begin();
		add(&packet, KEY, good, sizeof(good), sizeof(good));
		size = packet.size + (size_t)random() % 100;
		for (i = random() % 2 ? 8 : 16; i < size; i++)
			if (random() % 3 == 0)
				packet.data[i] = (uint8_t)random();
		take(&packet, size);
	}
	before = *streams_count();
}

/* Of the supervisor's own documents at least the shape is looked at. */
static void
documents_may_lack_anything(void **state ATTR_UNUSED)
{
	static const char *const texts[] = {"{}", "[]", "{\"streams\": 1}",
	    "{\"streams\": [1, {}, {\"schema\": 1}], \"schemas\": [1]}",
	    "{\"streams\": [{\"key\": 1, \"schema\": 0, \"names\": 0},"
	    " {\"key\": 1, \"schema\": 0, \"names\": 0}],"
	    " \"schemas\": [\"no schema\"]}"};
	json_t *json, *list;
	size_t i;

	for (i = 0; i < NITEMS(texts); i++) {
		json = json_loads(texts[i], 0, NULL);
		assert_true(streams_load(json));
		json_decref(json);
		list = streams_json();
		assert_true(json_is_array(json_object_get(list, "streams")));
		json_decref(list);
	}
	assert_false(streams_load(NULL));
	(void)load(NULL);
}

/* A stream that stays keeps its id and what it had. */
static void
streams_stay(void **state ATTR_UNUSED)
{
	json_t *json = json_loads(document, 0, NULL), *all, *list;
	struct packet packet = begin();
	uint32_t id = streams_find("one/s")->id;
	char *text;

	add(&packet, KEY, good, sizeof(good), sizeof(good));
	take(&packet, packet.size);
	json_object_set_new(json, "more", json_integer(1));
	assert_true(streams_load(json));
	json_decref(json);
	assert_int_equal(streams_find("one/s")->id, id);
	text = shown();
	assert_non_null(strstr(text, ",21,1.5;"));
	free(text);
	all = streams_json();
	list = json_object_get(all, "streams");
	json = json_array_get(json_object_get(all, "layouts"), (size_t)
	    json_integer_value(json_object_get(json_array_get(list, 0),
	    "layout")));
	assert_string_equal(json_string_value(json_object_get(json, "doc")),
	    "what");
	json = json_array_get(json_object_get(json, "fields"), 0);
	assert_string_equal(json_string_value(json_object_get(json, "unit")),
	    "V");
	json_decref(all);
	assert_null(streams_find("one/t"));
	(void)load(NULL);
}

/* Streams of one schema share a layout, however they take turns. */
static void
layouts_are_shared(void **state ATTR_UNUSED)
{
	static const char turns[] = "{\"streams\": ["
	    "{\"key\": 1, \"schema\": 0, \"names\": 0},"
	    "{\"key\": 2, \"schema\": 0, \"names\": 0, \"summary\": true},"
	    "{\"key\": 3, \"schema\": 0, \"names\": 0},"
	    "{\"key\": 4, \"schema\": 0, \"names\": 0, \"summary\": true}],"
	    " \"schemas\": [\"no schema\"]}";
	json_t *json = json_loads(turns, 0, NULL);

	assert_true(streams_load(json));
	json_decref(json);
	json = streams_json();
	assert_int_equal(json_array_size(json_object_get(json, "streams")), 4);
	assert_int_equal(json_array_size(json_object_get(json, "layouts")), 2);
	json_decref(json);
	(void)load(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones_are_shown),
		cmocka_unit_test(others_are_left_out),
		cmocka_unit_test(no_record_is_believed),
		cmocka_unit_test(packets_may_be_cut_off),
		cmocka_unit_test(anything_may_come),
		cmocka_unit_test(documents_may_lack_anything),
		cmocka_unit_test(streams_stay),
		cmocka_unit_test(layouts_are_shared),
	};

	return cmocka_run_group_tests(tests, load, end);
}
