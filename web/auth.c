/* SPDX-License-Identifier: ISC */
/*
 * Names and passwords.  mcrelay-web only.
 */
#include <sys/queue.h>
#include <sys/random.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/util.h"
#include "web/auth.h"
#include "web/basic.h"
#include "web/config.h"
#include "web/guesses.h"
#include "web/hasher.h"
#include "web/keyed.h"
#include "web/web_priv.h"

/* Who waits to be compared: in all, and of one address. */
#define WAITING_MAX	8U
#define WAITING_EACH	2U
/* ...and whoever else said the same, such as a browser many times. */
#define TWINS_MAX	24U
#define WAIT_NS		(5 * NS_PER_S)
/* After a wrong one, as a multiple of what it took. */
#define REST		4
/* Who was right: enough for all scrapers and browsers there may be. */
#define KNOWN_MAX	256U

enum auth_state {
	AUTH_QUEUED,
	AUTH_COMPARED,		/* it is, now */
	AUTH_DONE,
};

struct auth {
	LIST_ENTRY(auth)	 link;		/* until it is done */
	struct MHD_Connection	*connection;	/* NULL: it has ended */
	enum auth_state		 state;
	enum auth_verdict	 verdict;
	uint64_t		 deadline_ns;
	bool			 twin;		/* of one that waits */
	bool			 exists;	/* the user */
	const char		*hash;
	char			 password[BASIC_PASSWORD_SIZE];
	uint8_t			 who[KEYED_SIZE];	/* all of it */
	uint8_t			 address[KEYED_SIZE];
	uint8_t			 user[KEYED_SIZE];	/* with address */
};

static struct {
	struct ev_loop		*loop;
	void			(*resumed)(void);
	ev_timer		 rest;
	uint8_t			 key[KEYED_SIZE];
	LIST_HEAD(, auth)	 list;
	struct auth		*compared;	/* NULL: nobody */
	uint8_t			 known[KNOWN_MAX][KEYED_SIZE];
	size_t			 knowns;	/* ever */
} auth;

/*** Who is known. ***/

static bool
is_known(const uint8_t who[static KEYED_SIZE])
{
	size_t i;

	for (i = 0; i < MIN_OF(auth.knowns, KNOWN_MAX); i++)
		if (memcmp(auth.known[i], who, KEYED_SIZE) == 0)
			return true;
	return false;
}

static void
remember(const uint8_t who[static KEYED_SIZE])
{
	memcpy(auth.known[auth.knowns++ % KNOWN_MAX], who, KEYED_SIZE);
}

static void
set_hashes(struct auth *mine, const struct sockaddr *sa,
    const struct credentials *credentials)
{
	struct {
		uint8_t			address[CONFIG_ADDRESS_SIZE];
		struct credentials	credentials;
	} all = {.credentials = *credentials};

	config_client(sa, all.address);
	keyed_hash(auth.key, all.address, sizeof(all.address), mine->address);
	keyed_hash(auth.key, &all, offsetof(struct credentials, password) +
	    sizeof(all.address), mine->user);
	keyed_hash(auth.key, &all, sizeof(all), mine->who);
	explicit_bzero(&all, sizeof(all));
}

/* Whoever does not exist has the hash of somebody, always the same. */
static void
set_hash(struct auth *mine, const char *name)
{
	const struct web_user *user = config_find_user(name);
	uint8_t number[KEYED_SIZE];

	mine->exists = user != NULL;
	keyed_hash(auth.key, name, strlen(name), number);
	if (user == NULL)
		user = config_user((number[0] | (size_t)number[1] << 8) %
		    config_users());
	mine->hash = user->hash;
}

/*** Those who wait. ***/

static void	compare_next(void);

static void
finish(struct auth *mine, enum auth_verdict verdict)
{
	LIST_REMOVE(mine, link);
	explicit_bzero(mine->password, sizeof(mine->password));
	mine->state = AUTH_DONE;
	mine->verdict = verdict;
	if (mine->connection != NULL)
		MHD_resume_connection(mine->connection);
	else
		free(mine);
}

/* All who have said the same. */
static void
finish_twins(const uint8_t who[static KEYED_SIZE], enum auth_verdict verdict)
{
	struct auth *each, *next;

	for (each = LIST_FIRST(&auth.list); each != NULL; each = next) {
		next = LIST_NEXT(each, link);
		if (memcmp(each->who, who, KEYED_SIZE) == 0)
			finish(each, verdict);
	}
}

static void
on_compared(bool same, uint64_t took_ns)
{
	struct auth *mine = auth.compared;
	uint64_t now = clock_monotonic_ns();
	uint8_t who[KEYED_SIZE];

	auth.compared = NULL;
	memcpy(who, mine->who, sizeof(who));
	same = same && mine->exists;
	if (same) {
		remember(who);
		guesses_count(mine->address, now, -1);
		guesses_count(mine->user, now, -1);
	} else {
		ev_timer_set(&auth.rest, (double)took_ns * REST /
		    (double)NS_PER_S, 0.);
		ev_timer_start(auth.loop, &auth.rest);
	}
	/* It may have been given up meanwhile. */
	mine->state = AUTH_QUEUED;
	finish_twins(who, same ? AUTH_GOOD : AUTH_UNKNOWN);
	compare_next();
	auth.resumed();
}

/* Of all, the one whose address has made the fewest guesses. */
static struct auth *
choose(void)
{
	uint64_t now = clock_monotonic_ns();
	struct auth *each, *best = NULL;
	double made, fewest = 0.;

	LIST_FOREACH(each, &auth.list, link) {
		made = guesses_made(each->address, now);
		if (best == NULL || made <= fewest) {
			best = each;
			fewest = made;
		}
	}
	return best;
}

static void
compare_next(void)
{
	if (auth.compared != NULL || ev_is_active(&auth.rest))
		return;
	auth.compared = choose();
	if (auth.compared == NULL)
		return;
	auth.compared->state = AUTH_COMPARED;
	hasher_compare(auth.compared->hash, auth.compared->password);
}

static void
on_rest(struct ev_loop *loop ATTR_UNUSED, ev_timer *watcher ATTR_UNUSED,
    int events ATTR_UNUSED)
{
	compare_next();
}

/* Whether there is a place for it, and whether somebody has said the same. */
static bool
has_place(struct auth *mine)
{
	unsigned waiting = 0, same_address = 0, twins = 0;
	const struct auth *each;

	LIST_FOREACH(each, &auth.list, link) {
		mine->twin = mine->twin || memcmp(each->who, mine->who,
		    KEYED_SIZE) == 0;
		twins += each->twin;
		waiting += !each->twin;
		same_address += !each->twin && memcmp(each->address,
		    mine->address, KEYED_SIZE) == 0;
	}
	return mine->twin ? twins < TWINS_MAX :
	    waiting < WAITING_MAX && same_address < WAITING_EACH;
}

/* Every guess counts, even one that is not compared: whether it was refused
 * for that, or because of who is known, tells something. */
static enum auth_verdict
judge(struct auth *mine)
{
	uint64_t now = clock_monotonic_ns();
	bool place;

	if (mine->exists && !guesses_left(mine->user, now))
		return AUTH_BUSY;
	if (mine->exists && is_known(mine->who))
		return AUTH_GOOD;
	place = has_place(mine);
	if (place && mine->twin)
		return AUTH_WAIT;
	place = place && guesses_left(mine->address, now);
	guesses_count(mine->address, now, 1);
	if (mine->exists)
		guesses_count(mine->user, now, 1);
	return place ? AUTH_WAIT : AUTH_BUSY;
}

static void
wait_for_it(struct auth *mine, struct MHD_Connection *connection)
{
	mine->connection = connection;
	mine->deadline_ns = clock_monotonic_ns() + WAIT_NS;
	LIST_INSERT_HEAD(&auth.list, mine, link);
	MHD_suspend_connection(connection);
	compare_next();
}

/*** What others call. ***/

void
auth_init(struct ev_loop *loop, void (*resumed)(void))
{
	auth.loop = loop;
	auth.resumed = resumed;
	LIST_INIT(&auth.list);
	ev_timer_init(&auth.rest, on_rest, 0., 0.);
	if (getrandom(auth.key, sizeof(auth.key), 0) !=
	    (ssize_t)sizeof(auth.key))
		fatal("no random numbers");
	if (config_users() > 0)
		hasher_init(loop, on_compared);
}

void
auth_start(void)
{
	if (config_users() > 0)
		hasher_start();
}

static void
say_wrong(struct MHD_Connection *connection)
{
	static struct log_limit limit;
	char text[CONFIG_FROM_SIZE];

	config_from(MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, text);
	log_limited(&limit, "wrong user or password from %s", text);
}

static enum auth_verdict
take_verdict(struct MHD_Connection *connection, struct auth **mine)
{
	enum auth_verdict verdict = (*mine)->verdict;

	assert((*mine)->state == AUTH_DONE);
	free(*mine);
	*mine = NULL;
	if (verdict == AUTH_UNKNOWN)
		say_wrong(connection);
	return verdict;
}

enum auth_verdict
auth_check(struct MHD_Connection *connection, struct auth **mine)
{
	struct credentials credentials;
	enum auth_verdict verdict;
	const union MHD_ConnectionInfo *info;
	struct auth *new;

	if (config_users() == 0)
		return AUTH_GOOD;
	if (*mine != NULL)
		return take_verdict(connection, mine);
	if (!basic_parse(MHD_lookup_connection_value(connection,
	    MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION), &credentials))
		return AUTH_UNKNOWN;
	info = MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	new = xcalloc(1, sizeof(*new));
	memcpy(new->password, credentials.password, sizeof(new->password));
	set_hashes(new, info->client_addr, &credentials);
	set_hash(new, credentials.name);
	explicit_bzero(&credentials, sizeof(credentials));
	verdict = judge(new);
	if (verdict == AUTH_WAIT) {
		*mine = new;
		wait_for_it(new, connection);
	} else {
		explicit_bzero(new, sizeof(*new));
		free(new);
	}
	return verdict;
}

struct answer *
auth_refusal(enum auth_verdict verdict)
{
	bool busy = verdict == AUTH_BUSY;
	struct answer *answer = answer_text(busy ?
	    MHD_HTTP_TOO_MANY_REQUESTS : MHD_HTTP_UNAUTHORIZED, busy ?
	    "too many wrong passwords: later\n" : "who are you?\n");
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%d", GUESSES_S);
	if (answer->response != NULL)
		(void)MHD_add_response_header(answer->response, busy ?
		    MHD_HTTP_HEADER_RETRY_AFTER :
		    MHD_HTTP_HEADER_WWW_AUTHENTICATE, busy ? seconds :
		    "Basic realm=\"mcrelay\", charset=\"UTF-8\"");
	return answer;
}

void
auth_forget(struct auth **mine)
{
	struct auth *old = *mine;

	*mine = NULL;
	if (old == NULL)
		return;
	old->connection = NULL;
	if (old->state == AUTH_DONE)
		free(old);
	else if (old->state == AUTH_QUEUED)
		finish(old, AUTH_UNKNOWN);
}

void
auth_overdue(uint64_t now)
{
	struct auth *each, *next;

	for (each = LIST_FIRST(&auth.list); each != NULL; each = next) {
		next = LIST_NEXT(each, link);
		if (now >= each->deadline_ns && each->state == AUTH_QUEUED)
			finish(each, AUTH_BUSY);
		else if (now == UINT64_MAX && each->connection != NULL)
			MHD_resume_connection(each->connection);
	}
}
