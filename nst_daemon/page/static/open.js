// The ticket has set its cookie. Not by a redirect: after one that began on another site the cookie is not sent.
location.replace("/");
