/* server_tls.c - the TLS half of server.h */
#include "server.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    static const unsigned char h2[] = "\x02h2", h1[] = "\x08http/1.1";
    const struct server *s = arg;

    (void)tls;
    return SSL_select_next_proto((unsigned char **)out, out_len, s->h2 ? h2 : h1, s->h2 ? 3 : 9, in, in_len) ==
                   OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_NOACK;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,DNS:named.test,IP:127.0.0.1");

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"docmill test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

int server_tls_set_up(struct server *s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = make_certificate(key);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    FILE *f;
    int fd;

    snprintf(s->ca_file, sizeof s->ca_file, "/tmp/docmill-ca-XXXXXX");
    fd = mkstemp(s->ca_file);
    f = fdopen(fd, "w");
    PEM_write_X509(f, cert);
    fclose(f);
    SSL_CTX_use_certificate(context, cert);
    SSL_CTX_use_PrivateKey(context, key);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, s);
    X509_free(cert);
    EVP_PKEY_free(key);
    s->tls_context = context;
    return 0;
}

int server_tls_accept(struct peer *p)
{
    SSL *tls = SSL_new(p->server->tls_context);
    int rc;

    SSL_set_fd(tls, p->fd);
    rc = SSL_accept(tls);
    ERR_clear_error();
    if (rc != 1) {
        SSL_free(tls);
        return -1;
    }
    p->tls = tls;
    return 0;
}

long server_tls_read(struct peer *p, void *to, size_t n)
{
    struct pollfd fds[2] = {{.fd = p->fd, .events = POLLIN}, {.fd = p->server->stop_pipe[0], .events = POLLIN}};

    if (SSL_pending(p->tls) == 0 && (poll(fds, 2, SERVER_PATIENCE_MS) <= 0 || fds[0].revents == 0))
        return -1;
    return SSL_read(p->tls, to, (int)n);
}

long server_tls_write(struct peer *p, const void *from, size_t n)
{
    return SSL_write(p->tls, from, (int)n);
}

void server_tls_close(struct peer *p)
{
    SSL_shutdown(p->tls);
    SSL_free(p->tls);
    ERR_clear_error();
}

void server_tls_free(struct server *s)
{
    SSL_CTX_free(s->tls_context);
    unlink(s->ca_file);
}
