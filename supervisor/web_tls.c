/* SPDX-License-Identifier: ISC */
/*
 * Checking certificate and key for mcrelay-web, with the library that it uses.
 * Supervisor only.
 */
#include <string.h>
#include <time.h>
#ifdef HAVE_WEB_TLS
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#endif

#include "common/util.h"
#include "supervisor/report.h"
#include "supervisor/web_files.h"

#ifdef HAVE_WEB_TLS

struct pair {
	gnutls_x509_crt_t	*chain;
	unsigned		 count;
	gnutls_x509_privkey_t	 key;
};

static gnutls_datum_t
datum(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)text,
	    (unsigned)strlen(text)};
}

static bool
import_chain(struct pair *pair, const char *path, const char *text,
    struct conf_problems *problems)
{
	gnutls_datum_t pem = datum(text);
	int error = gnutls_x509_crt_list_import2(&pair->chain, &pair->count,
	    &pem, GNUTLS_X509_FMT_PEM, 0);

	if (error >= 0 && pair->count > 0)
		return true;
	report_error(problems, "%s: is no certificate in PEM: %s", path,
	    gnutls_strerror(error));
	return false;
}

static bool
import_key(struct pair *pair, const char *path, const char *text,
    struct conf_problems *problems)
{
	gnutls_datum_t pem = datum(text);
	int error = gnutls_x509_privkey_import2(pair->key, &pem,
	    GNUTLS_X509_FMT_PEM, NULL, 0);

	if (error >= 0)
		return true;
	/* Nobody is there to be asked for a password. */
	if (strstr(text, "ENCRYPTED") != NULL)
		report_error(problems, "%s: is encrypted: openssl pkey -in "
		    "%s -out PLAIN", path, path);
	else
		report_error(problems, "%s: is no private key in PEM: %s",
		    path, gnutls_strerror(error));
	return false;
}

static bool
fits(const struct web_conf *conf, const struct pair *pair,
    struct conf_problems *problems)
{
	gnutls_certificate_credentials_t both;
	int error = gnutls_certificate_allocate_credentials(&both);

	if (error >= 0) {
		error = gnutls_certificate_set_x509_key(both, pair->chain,
		    (int)pair->count, pair->key);
		gnutls_certificate_free_credentials(both);
	}
	if (error == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		report_error(problems, "%s: is not the key of the first "
		    "certificate in %s", conf->file[WEB_KEY],
		    conf->file[WEB_CERTIFICATE]);
	else if (error < 0)
		report_error(problems, "%s and %s cannot be used: %s",
		    conf->file[WEB_CERTIFICATE], conf->file[WEB_KEY],
		    gnutls_strerror(error));
	return error >= 0;
}

/* 0: the key cannot be used with it. */
static int64_t
check_expiry(const char *path, const struct pair *pair,
    struct conf_problems *problems)
{
	time_t now = time(NULL), expires = (time_t)INT32_MAX * 1000, one;
	char day[32] = "";
	struct tm tm;
	unsigned i;

	for (i = 0; i < pair->count; i++) {
		one = gnutls_x509_crt_get_expiration_time(pair->chain[i]);
		expires = MIN_OF(one, expires);
	}
	if (gmtime_r(&expires, &tm) != NULL)
		(void)strftime(day, sizeof(day), "%F %T UTC", &tm);
	if (expires <= now)
		report_warning(problems, "%s: expired at %s: clients refuse "
		    "it", path, day);
	else if (expires < now + WEB_EXPIRY_WARN_S)
		report_warning(problems, "%s: expires at %s: renew it, then "
		    "mcrelayctl reload", path, day);
	if (gnutls_x509_crt_get_activation_time(pair->chain[0]) > now)
		report_warning(problems, "%s: is not valid yet: clients "
		    "refuse it", path);
	return expires;
}

int64_t
web_tls_check(const struct web_conf *conf, const char *certificate,
    const char *key, struct conf_problems *problems)
{
	struct pair pair = {NULL, 0, NULL};
	int64_t expires = 0;
	bool good;
	unsigned i;

	if (gnutls_x509_privkey_init(&pair.key) < 0) {
		report_error(problems, "no memory to check %s",
		    conf->file[WEB_KEY]);
		return 0;
	}
	/* All that is wrong, not only the first. */
	good = import_chain(&pair, conf->file[WEB_CERTIFICATE], certificate,
	    problems);
	good = import_key(&pair, conf->file[WEB_KEY], key, problems) && good;
	if (good && fits(conf, &pair, problems))
		expires = check_expiry(conf->file[WEB_CERTIFICATE], &pair,
		    problems);
	for (i = 0; i < pair.count; i++)
		gnutls_x509_crt_deinit(pair.chain[i]);
	gnutls_free(pair.chain);
	gnutls_x509_privkey_deinit(pair.key);
	return expires;
}

#else

/* The configuration has been refused. */
int64_t
web_tls_check(const struct web_conf *conf ATTR_UNUSED,
    const char *certificate ATTR_UNUSED, const char *key ATTR_UNUSED,
    struct conf_problems *problems ATTR_UNUSED)
{
	return 0;
}

#endif /* HAVE_WEB_TLS */
