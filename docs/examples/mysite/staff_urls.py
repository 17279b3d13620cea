"""The JSON endpoints for staff only; other visitors are sent to the admin's login page."""

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.urls import path

from django_celery_results import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("results/task/<str:task_id>/", staff_member_required(views.task_status)),
    path("results/group/<str:group_id>/", staff_member_required(views.group_status)),
]
