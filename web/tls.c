/* SPDX-License-Identifier: ISC */
/*
 * TLS, which libmicrohttpd does by GnuTLS.  mcrelay-web only.
 */
#include "common/log.h"
#include "web/config.h"
#include "web/tls.h"

/* What is older is broken.  Whoever compiled GnuTLS chose the rest, and an
 * administrator may in its configuration. */
#define PRIORITIES	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:"	\
			    "%SERVER_PRECEDENCE"

static void
set(struct MHD_OptionItem *item, enum MHD_OPTION option, const char *text)
{
	*item = (struct MHD_OptionItem){option, 0, (void *)(uintptr_t)text};
}

unsigned
tls_options(struct MHD_OptionItem options[static TLS_OPTIONS])
{
	const char *certificate = config_text(WEB_CERTIFICATE);

	set(&options[0], MHD_OPTION_END, NULL);
	if (certificate == NULL)
		return MHD_NO_FLAG;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		fatalx("this libmicrohttpd has no TLS");
	set(&options[0], MHD_OPTION_HTTPS_MEM_CERT, certificate);
	set(&options[1], MHD_OPTION_HTTPS_MEM_KEY, config_text(WEB_KEY));
	set(&options[2], MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES);
	set(&options[3], MHD_OPTION_END, NULL);
	return MHD_USE_TLS;
}
