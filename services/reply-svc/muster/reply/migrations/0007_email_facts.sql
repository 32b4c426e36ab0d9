-- What became of the e-mail of a reply is shown with it.
CALL kit_grant('email', 'app', 'SELECT');
