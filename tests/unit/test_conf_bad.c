/* SPDX-License-Identifier: ISC */
/*
 * Every mistake in a configuration is reported, at its place, in words that
 * do not change by accident; and no input takes long or does harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/conf_bad.h"
#include "tests/unit/conf_support.h"

#define MIB	((size_t)1024 * 1024)

static const char accel[] = "{\"type\": \"record\", \"name\": \"Accel\", "
    "\"fields\": [{\"name\": \"time\", \"type\": \"long\"}, "
    "{\"name\": \"x\", \"type\": \"double\"}]}";

static void
run_table(const struct bad_case *table)
{
	const struct bad_case *c;
	char *problems;
	size_t wrong = 0;

	support_write("accel.avsc", accel, strlen(accel));
	support_write("nul.avsc", "\"lo\0ng\"", 7);
	for (c = table; c->name != NULL; c++) {
		support_write("c.yaml", c->text, strlen(c->text));
		problems = support_problems("c.yaml");
		if (strcmp(problems, c->expected) != 0) {
			print_error("%s: expected\n%sgot\n%s", c->name,
			    c->expected, problems);
			wrong++;
		}
		free(problems);
	}
	assert_true(c > table);
	assert_int_equal(wrong, 0);
}

static void
test_file(void **state ATTR_UNUSED)
{
	run_table(bad_file_cases);
}

static void
test_channel(void **state ATTR_UNUSED)
{
	run_table(bad_channel_cases);
	run_table(bad_input_cases);
}

static void
test_output(void **state ATTR_UNUSED)
{
	run_table(bad_relay_cases);
	run_table(bad_archive_cases);
	run_table(bad_output_cases);
}

static void
test_forward(void **state ATTR_UNUSED)
{
	run_table(bad_forward_cases);
}

static void
expect(const char *name, const char *expected)
{
	char *problems = support_problems(name);

	assert_string_equal(problems, expected);
	free(problems);
}

static void
expect_text(const char *text, const char *expected)
{
	support_write("c.yaml", text, strlen(text));
	expect("c.yaml", expected);
}

/* What the schema compiler says is tested with it: here only the frame. */
static void
test_schema(void **state ATTR_UNUSED)
{
	static const struct {
		const char	*schema;
		const char	*more;
		const char	*expected;
	} cases[] = {
		{ "{\"type\": \"record\"}", "",
		    "4:35: schema DIR/s.avsc: " },
		{ "nonsense", "", "4:35: schema DIR/s.avsc: " },
		{ "", "", "4:35: schema DIR/s.avsc: " },
		{ accel, ", time_field: tme", "4:35: schema DIR/s.avsc: " },
		{ "{\"type\": \"record\", \"name\": \"A\", \"fields\": "
		    "[{\"name\": \"t\", \"type\": {\"type\": \"long\", "
		    "\"logicalType\": \"timestamp-nanos\"}}]}", "",
		    "warning 4:35: schema DIR/s.avsc: " },
	};
	char *text, *problems;
	size_t i;

	for (i = 0; i < NITEMS(cases); i++) {
		support_write("s.avsc", cases[i].schema,
		    strlen(cases[i].schema));
		text = xasprintf(CHANNEL
		    "  payload: {format: avro, schema: s.avsc%s}\n",
		    cases[i].more);
		support_write("c.yaml", text, strlen(text));
		problems = support_problems("c.yaml");
		assert_int_equal(strncmp(problems, cases[i].expected,
		    strlen(cases[i].expected)), 0);
		assert_ptr_equal(strchr(problems, '\n'),
		    problems + strlen(problems) - 1);
		free(problems);
		free(text);
	}
}

static void
test_not_a_file(void **state ATTR_UNUSED)
{
	expect("missing.yaml", " No such file or directory\n");
	assert_int_equal(mkfifo(support_path("fifo.yaml"), 0600), 0);
	expect("fifo.yaml", " not a regular file\n");
	assert_int_equal(mkdir(support_path("dir.yaml"), 0700), 0);
	expect("dir.yaml", " not a regular file\n");
	assert_int_equal(symlink("loop.yaml", support_path("loop.yaml")), 0);
	expect("loop.yaml", " Too many levels of symbolic links\n");
}

/* A NUL ends the C strings of the tables. */
static void
test_nul(void **state ATTR_UNUSED)
{
	static const char text[] = "run_dir: /run\nlog: {\0}\n";

	support_write("c.yaml", text, sizeof(text) - 1);
	expect("c.yaml", "2:7: a NUL byte: not a text file\n");
}

static void
test_long_values(void **state ATTR_UNUSED)
{
	char *long_text = xmalloc(5001), *text;

	memset(long_text, 'd', 5000);
	long_text[5000] = '\0';
	text = xasprintf("user: %s\n" CHANNEL, long_text);
	expect_text(text, "1:7: a value of more than 4096 bytes\n");
	free(text);
	text = xasprintf(CHANNEL "  archive: {directory: /%.900s}\n",
	    long_text);
	expect_text(text,
	    "4:24: `directory' is a path of more than 900 bytes\n");
	free(text);
	free(long_text);
}

static void
test_too_many_problems(void **state ATTR_UNUSED)
{
	char *text = xmalloc(MIB), *problems, *line;
	size_t used = 0, lines = 0;
	int i;

	for (i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, MIB - used, "%s"
		    "- {name: c%d, listen: {port: 0, x: 1}}\n",
		    i == 0 ? "channels:\n" : "", i);
	support_write("c.yaml", text, used);
	problems = support_problems("c.yaml");
	for (line = problems; *line != '\0'; line = strchr(line, '\n') + 1)
		lines++;
	assert_int_equal(lines, 1001);
	assert_non_null(strstr(problems,
	    "\n too many problems: this may not be all of them\n"));
	free(problems);
	free(text);
}

/*** Bombs. ***/

/* Processor time of this thread: other work on the machine does not count. */
static double
cpu_ms(void)
{
	struct rusage r;

	assert_int_equal(getrusage(RUSAGE_THREAD, &r), 0);
	return 1e3 * (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	    1e-3 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* `head', then `unit' until the file has `size' bytes, then `tail'. */
static void
write_bomb(const char *head, const char *unit, size_t size, const char *tail)
{
	FILE *f = fopen(support_path("bomb.yaml"), "w");
	size_t n;

	assert_non_null(f);
	(void)fputs(head, f);
	for (n = strlen(head) + strlen(tail); n + strlen(unit) <= size;
	    n += strlen(unit))
		(void)fputs(unit, f);
	(void)fputs(tail, f);
	assert_int_equal(fclose(f), 0);
}

/*
 * 100 ms is the promise.  A sanitizer or valgrind makes everything many
 * times slower; what the bombs are after is thousands of times slower.
 */
#define BOMB_MS		3000.0

static void
test_bombs(void **state ATTR_UNUSED)
{
	static const struct {
		const char	*head;
		const char	*unit;
		size_t		 size;
		const char	*tail;
		const char	*expected;	/* how it begins */
	} bombs[] = {
		{ "", "[", MIB, "", "1:17: nested more than 16 levels" },
		{ "", "- ", 2 * MIB, "", "1:33: nested more than 16 levels" },
		{ "", "{a: ", 4 * MIB, "", "1:65: nested more than 16 le" },
		{ "", "? ", 2 * MIB, "", "1:33: nested more than 16 levels" },
		{ "a: &a [x,x]\nb: [", "*a,", 4 * MIB, "*a]\n",
		    "1:4: anchors (`&name') are not supported\n"
		    "2:5: aliases (`*name') are not supported\n" },
		{ "channels: [", "a,", 4 * MIB, "a]\n",
		    "1:400006: more than 200000 values in one file\n" },
		{ "channels: [", "!!str a,", 4 * MIB, "a]\n",
		    "1:12: tags (`!name') are not supported\n" },
		{ "{", "a,", 4 * MIB, "a}\n",
		    "1:4: `a' is given twice, first on line 1\n" },
		{ "channels:\n", "- {a: b}\n", 4 * MIB, "",
		    "66667:7: more than 200000 values in one file\n" },
		{ "", "#\n", 4 * MIB, "", "1:1: there is nothing in this" },
		{ "", "\n", 4 * MIB, "", "1:1: there is nothing in this" },
		{ "", " ", 4 * MIB, "", "1:1: there is nothing in this" },
		{ "run_dir: ", "x", 4 * MIB, "",
		    "1:1: there is no `channels'\n"
		    "1:10: a value of more than 4096 bytes\n" },
		{ "run_dir: \"", "\\x41", 4 * MIB, "\"",
		    "1:1: there is no `channels'\n"
		    "1:10: a value of more than 4096 bytes\n" },
		{ "", "---\n", 4 * MIB, "", "2:1: more than one document" },
		{ "", "a", 4 * MIB + 1, "", " larger than 4194304 bytes\n" },
		{ "", "a", 64 * MIB, "", " larger than 4194304 bytes\n" },
	};
	char *problems;
	double before;
	size_t i;

	for (i = 0; i < NITEMS(bombs); i++) {
		write_bomb(bombs[i].head, bombs[i].unit, bombs[i].size,
		    bombs[i].tail);
		before = cpu_ms();
		problems = support_problems("bomb.yaml");
		assert_true(cpu_ms() - before < BOMB_MS);
		if (strncmp(problems, bombs[i].expected,
		    strlen(bombs[i].expected)) != 0)
			fail_msg("bomb %zu: %.200s", i, problems);
		free(problems);
	}
}

/* Defaults that are wrong in many ways, for as many channels as there are. */
static void
test_defaults_bomb(void **state ATTR_UNUSED)
{
	FILE *f = fopen(support_path("bomb.yaml"), "w");
	char *problems;
	double before;
	int i, j;

	assert_non_null(f);
	(void)fputs("defaults:\n  relay:\n", f);
	for (i = 0; i < 16; i++) {
		(void)fputs("  - {", f);
		for (j = 0; j < 60; j++)
			(void)fprintf(f, "%sadress%d: 1", j ? ", " : "", j);
		(void)fputs("}\n", f);
	}
	(void)fputs("channels:\n", f);
	for (i = 0; i < 1000; i++)
		(void)fprintf(f, "- {name: c%d, listen: {port: %d}}\n", i,
		    i + 1000);
	assert_int_equal(fclose(f), 0);
	before = cpu_ms();
	problems = support_problems("bomb.yaml");
	assert_true(cpu_ms() - before < BOMB_MS);
	assert_ptr_equal(strstr(problems, "3:5: an item of `relay' has no "
	    "`address'\n"), problems);
	/* It did not go on for the thousand. */
	assert_non_null(strstr(problems,
	    "\n too many problems: this may not be all of them\n"));
	free(problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_channel),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_forward),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_too_many_problems),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_defaults_bomb),
	};

	return cmocka_run_group_tests(tests, support_setup, support_teardown);
}
