"""An app whose migrations depend on individual migrations of 2.6, as some sites' do."""
