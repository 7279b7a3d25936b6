/* SPDX-License-Identifier: ISC */
/*
 * mcrelayctl: asks mcrelayd, prints what it says.
 */
#include <bsd/stdlib.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/help.h"
#include "common/log.h"
#include "common/nearest.h"
#include "common/printable.h"
#include "tools/ctl/check.h"
#include "tools/ctl/client.h"
#include "tools/ctl/doctor.h"
#include "tools/ctl/events.h"
#include "tools/ctl/files.h"
#include "tools/ctl/metrics.h"
#include "tools/ctl/show.h"
#include "tools/ctl/top.h"

#define DEFAULT_SOCKET	RUNSTATEDIR "/mcrelay/mcrelayd.sock"

#define EXIT_USAGE	2

/* Monitors that run checks give up themselves, after ten seconds or more. */
#define CHECK_PATIENCE_S	8

/* A command line. */
struct call {
	const char	*socket;
	bool		 json;		/* -j */
	bool		 disk;		/* --disk, of doctor */
	bool		 lasting;	/* -p, of pause */
	unsigned	 count;		/* -n; 0: no end */
	const char	*since;		/* --since; NULL: from now on */
	unsigned	 patience_s;	/* -t, of check */
	const char	*name;		/* the command's */
	const char	*channel;	/* NULL: none */
	const char	*more[3];	/* what follows it */
	char		*const *all;	/* all of them, up to a NULL */
};

struct verb {
	struct help_line help;
	int		 arguments_min;
	int		 arguments_max;
	const char	*options;	/* for getopt() */
	/* Returns the exit status.  NULL: it is shown once a second. */
	int		(*show)(const struct call *call, json_t *answer);
	const char	*request;	/* the daemon's name for it */
};

static _Noreturn void	usage(void);

static void
print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2));
	printf("\n");
}

static int
status(const struct call *call, json_t *answer)
{
	if (call->json)
		print_json(json_object_get(answer, "status"));
	else
		show_status(json_object_get(answer, "status"));
	return 0;
}

/* What of a channel is no counter. */
static void
keep_counters(json_t *channel)
{
	static const char *const kept[] = {"name", "ledger", "inputs",
	    "outputs", "decimate"};
	const char *key;
	json_t *value;
	size_t i;
	void *tmp;

	json_object_foreach_safe(channel, tmp, key, value) {
		for (i = 0; i < NITEMS(kept); i++)
			if (strcmp(key, kept[i]) == 0)
				break;
		if (i == NITEMS(kept))
			json_object_del(channel, key);
	}
}

static int
ledger(const struct call *call, json_t *answer)
{
	json_t *all = json_object_get(answer, "status");
	json_t *channels = json_object_get(all, "channels");
	size_t i;

	if (!call->json) {
		show_ledger(all);
		return 0;
	}
	for (i = 0; i < json_array_size(channels); i++)
		keep_counters(json_array_get(channels, i));
	/* Behind them, as without -j, what shards have together. */
	(void)json_array_extend(channels, json_object_get(all, "sharded"));
	json_dumpf(channels, stdout, JSON_INDENT(2));
	printf("\n");
	return 0;
}

static int
nothing(const struct call *call ATTR_UNUSED, json_t *answer ATTR_UNUSED)
{
	return 0;
}

static long long
summary_count(const json_t *answer, const char *name)
{
	return json_integer_value(json_object_get(json_object_get(answer,
	    "summary"), name));
}

static int
reloaded(const struct call *call ATTR_UNUSED, json_t *answer)
{
	printf("reloaded: %lld unchanged, %lld changed, %lld added, "
	    "%lld removed\n", summary_count(answer, "unchanged"),
	    summary_count(answer, "changed"), summary_count(answer, "added"),
	    summary_count(answer, "removed"));
	return 0;
}

static int
upgraded(const struct call *call ATTR_UNUSED, json_t *answer)
{
	printable_print(stdout,
	    "mcrelayd %s has taken over as process %lld; the workers "
	    "follow one by one\n",
	    json_string_value(json_object_get(answer, "version")),
	    (long long)json_integer_value(json_object_get(answer, "pid")));
	return 0;
}

static int
schema(const struct call *call ATTR_UNUSED, json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer,
	    "schema"));

	if (text != NULL)
		show_schema(text);
	return 0;
}

static int
files(const struct call *call, json_t *answer)
{
	return files_list(answer, call->more[0], call->more[1], call->json);
}

static int
hold(const struct call *call, json_t *answer)
{
	return files_hold(answer, call->more[0], call->more[1], call->more[2]);
}

static int
release(const struct call *call, json_t *answer)
{
	return files_release(answer, call->more[0]);
}

static int
run_events(const struct call *call)
{
	json_t *channels = json_array(), *request;
	char *const *name;
	int result;

	for (name = call->all; *name != NULL; name++)
		if (json_array_append_new(channels, json_string(*name)) == -1)
			fatalx("the arguments are not UTF-8");
	request = json_pack("{s:s, s:o, s:s*}", "command", "events",
	    "channels", channels, "since", call->since);
	if (request == NULL)
		fatalx("the arguments are not UTF-8");
	result = events_run(call->socket, request, call->json, call->count);
	json_decref(request);
	return result;
}

static int
doctor(const struct call *call, json_t *answer)
{
	return doctor_call(answer, call->json, call->disk);
}

static const struct verb verbs[] = {
	{{"status", "[-j] [channel]", "the state of all channels, or of one"},
	    0, 1, "j", status, "status"},
	{{"check", "[-t seconds] [channel]",
	    "one line and an exit status, for a monitor"},
	    0, 1, "t:", nothing, "status"},
	{{"ledger", "[-j] [channel]", "all counters, and what they count"},
	    0, 1, "j", ledger, "status"},
	{{"top", "[-n count] [channel]", "what goes on, once a second"},
	    0, 1, "n:", NULL, "status"},
	{{"events", "[-j] [-n count] [--since id] [channel ...]",
	    "a line for each thing that happens"},
	    0, INT_MAX, "jn:S", nothing, "events"},
	{{"restart", "channel", "end its worker; wait for the next one"},
	    1, 1, "", nothing, "restart"},
	{{"stop", "channel", "end its worker, close its input"},
	    1, 1, "", nothing, "stop"},
	{{"start", "channel", "start a stopped channel"},
	    1, 1, "", nothing, "start"},
	{{"pause", "[-p] channel [archive|relay]",
	    "receive, but do not archive or relay"},
	    1, 2, "p", nothing, "pause"},
	{{"resume", "channel [archive|relay]", "end a pause"},
	    1, 2, "", nothing, "resume"},
	{{"rotate", "[channel]", "begin new archive files"},
	    0, 1, "", nothing, "rotate"},
	{{"reload", "", "read the configuration again"},
	    0, 0, "", reloaded, "reload"},
	{{"schema", "channel [stream]", "print its Avro schema"},
	    1, 2, "", schema, "schema"},
	{{"upgrade", "", "have mcrelayd executed anew, where it is installed"},
	    0, 0, "", upgraded, "upgrade"},
	{{"files", "[-j] channel [start [end]]",
	    "its finished files, and what was lost in each"},
	    1, 3, "j", files, "archive"},
	{{"hold", "channel start end name",
	    "keep files of that time from retention"},
	    4, 4, "", hold, "archive"},
	{{"release", "channel name", "let retention have them again"},
	    2, 2, "", release, "archive"},
	{{"drain", "", "have other hosts relay all that they can"},
	    0, 0, "", nothing, "drain"},
	{{"undrain", "", "take again what is this host's turn"},
	    0, 0, "", nothing, "undrain"},
	{{"doctor", "[-j] [--disk]", "what can go wrong on this host"},
	    0, 0, "jD", doctor, "doctor"},
};

/* The table of commands, with what is not in it. */
static const struct help *
whole_help(void)
{
	static struct help_line lines[NITEMS(verbs) + 3];
	static const struct help help = {"mcrelayctl", "8",
	    "mcrelayctl [-s socket] command ...\n"
	    "       mcrelayctl -h | -V\n", lines};
	size_t i;

	for (i = 0; i < NITEMS(verbs); i++)
		lines[i] = verbs[i].help;
	lines[i++] = (struct help_line){"metrics", "[-o] [channel ...]",
	    "state and counters for Prometheus"};
	lines[i] = (struct help_line){"-s", "socket",
	    "of the daemon; else " DEFAULT_SOCKET};
	return &help;
}

static void
usage(void)
{
	help_usage(whole_help());
	exit(EXIT_USAGE);
}

static const struct verb *
find_verb(const char *name)
{
	char hint[NEAREST_HINT_SIZE];
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, name);
	nearest_try(&nearest, "metrics");
	for (i = 0; i < NITEMS(verbs); i++) {
		if (strcmp(verbs[i].help.name, name) == 0)
			return &verbs[i];
		nearest_try(&nearest, verbs[i].help.name);
	}
	log_warnx("there is no command %s%s", name,
	    nearest_hint(&nearest, hint));
	usage();
}

static json_t *
make_request(const struct verb *verb, const struct call *call)
{
	const char *more = strcmp(verb->help.name, "schema") == 0 ? "stream" :
	    strcmp(verb->help.name, "pause") == 0 ||
	    strcmp(verb->help.name, "resume") == 0 ? "part" : NULL;
	json_t *request;

	request = json_pack("{s:s, s:s*}", "command", verb->request,
	    "channel", call->channel);
	if (request == NULL || (more != NULL && call->more[0] != NULL &&
	    json_object_set_new(request, more,
	    json_string(call->more[0])) == -1))
		fatalx("the arguments are not UTF-8");
	if (call->lasting)
		json_object_set_new(request, "lasting", json_true());
	return request;
}

static int
run_check(const struct verb *verb, const struct call *call)
{
	json_t *request = make_request(verb, call), *answer;
	int result;

	client_on_failure(check_failed);
	client_patience(call->patience_s);
	answer = client_ask(call->socket, request);
	if (json_is_true(json_object_get(answer, "ok")))
		result = (int)check_status(json_object_get(answer, "status"));
	else
		result = (int)check_refused(answer);
	json_decref(request);
	json_decref(answer);
	return result;
}

static int	run(const struct verb *verb, const struct call *call);

/* What is done to a channel is done to each of its shards, one after the
 * other; the schema is that of all. */
static int
run_each(const struct verb *verb, const struct call *call,
    const json_t *shards)
{
	struct call one = *call;
	int result = 0;
	size_t i;

	for (i = 0; i < json_array_size(shards) && result == 0; i++) {
		one.channel = json_string_value(json_array_get(shards, i));
		result = run(verb, &one);
		if (strcmp(verb->help.name, "schema") == 0)
			break;
	}
	return result;
}

static int
run(const struct verb *verb, const struct call *call)
{
	json_t *request = make_request(verb, call);
	json_t *answer = client_ask(call->socket, request);
	const json_t *shards = json_object_get(answer, "shards");
	int result;

	if (shards != NULL)
		result = run_each(verb, call, shards);
	else if ((result = client_check(answer)) == 0)
		result = verb->show != NULL ? verb->show(call, answer) :
		    top_run(call->socket, request, answer, call->count);
	json_decref(request);
	json_decref(answer);
	if (fflush(stdout) != 0 || ferror(stdout))
		fatal("standard output");
	return result;
}

static void
parse_options(struct call *call, int argc, char **argv)
{
	int option;

	help_answer(whole_help(), argc, argv);
	/* The command's own options are not ours. */
	while ((option = getopt(argc, argv, "+s:")) != -1)
		switch (option) {
		case 's':
			call->socket = optarg;
			break;
		default:
			usage();
		}
	if (optind == argc)
		usage();
	call->name = argv[optind];
}

static unsigned
parse_count(const char *text)
{
	const char *why;
	long long count = strtonum(text, 1, INT32_MAX, &why);

	if (why != NULL) {
		log_warnx("%s is %s", text, why);
		usage();
	}
	return (unsigned)count;
}

static void
parse_arguments(struct call *call, const struct verb *verb, int argc,
    char **argv)
{
	/* Each of one command, which alone has the short form. */
	static const struct option long_options[] = {
		{"disk", no_argument, NULL, 'D'},
		{"since", required_argument, NULL, 'S'},
		{NULL, 0, NULL, 0},
	};
	int option;

	/* glibc: begin anew, with what "+" meant forgotten. */
	optind = 0;
	while ((option = getopt_long(argc, argv, verb->options,
	    long_options, NULL)) != -1)
		switch (option) {
		case 'D':
			if (strchr(verb->options, 'D') == NULL)
				usage();
			call->disk = true;
			break;
		case 'j':
			call->json = true;
			break;
		case 'n':
			call->count = parse_count(optarg);
			break;
		case 'p':
			call->lasting = true;
			break;
		case 't':
			call->patience_s = parse_count(optarg);
			break;
		case 'S':
			/* The short one is only for the table. */
			if (optarg == NULL ||
			    strchr(verb->options, 'S') == NULL)
				usage();
			call->since = optarg;
			break;
		default:
			usage();
		}
	if (argc - optind < verb->arguments_min ||
	    argc - optind > verb->arguments_max)
		usage();
	if (argc - optind > 0)
		call->channel = argv[optind];
	call->all = argv + optind;
	for (option = optind + 1; option < argc && option <= optind + 3;
	    option++)
		call->more[option - optind - 1] = argv[option];
}

static int
print_metrics(const struct call *call, int argc, char **argv)
{
	int result = metrics_command(call->socket, argc, argv);

	if (result == -1)
		usage();
	return result;
}

int
main(int argc, char **argv)
{
	struct call call = {.socket = DEFAULT_SOCKET,
	    .patience_s = CHECK_PATIENCE_S};
	const struct verb *verb;
	int first;

	log_init("mcrelayctl", NULL, LOG_TARGET_STDERR, LOG_INFO);
	parse_options(&call, argc, argv);
	first = optind;
	if (strcmp(call.name, "metrics") == 0)
		return print_metrics(&call, argc - first, argv + first);
	verb = find_verb(call.name);
	parse_arguments(&call, verb, argc - first, argv + first);
	if (strcmp(verb->help.name, "check") == 0)
		return run_check(verb, &call);
	if (strcmp(verb->help.name, "events") == 0)
		return run_events(&call);
	return run(verb, &call);
}
